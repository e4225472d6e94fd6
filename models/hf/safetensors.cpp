#include "models/hf/safetensors.hpp"

#include "models/defaults.hpp"
#include "models/hf/json.hpp"

#include <algorithm>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace virga::models::hf {

namespace {

/// A whole file, read-only. It must not shrink while it is mapped.
class mapping {
public:
  explicit mapping(const std::filesystem::path& file) {
    int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
      fail(file.string(), std::string("cannot be opened (") + std::strerror(errno) + ")");
    struct stat st {};
    bool regular = ::fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    size_ = regular ? static_cast<std::size_t>(st.st_size) : 0;
    if (size_ > 0)
      data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    ::close(fd);
    if (!regular)
      fail(file.string(), "is not a regular file");
    if (data_ == MAP_FAILED)
      fail(file.string(), std::string("cannot be mapped (") + std::strerror(errno) + ")");
    ::madvise(data_, size_, MADV_HUGEPAGE);  // a wish: few file systems have big pages
  }
  ~mapping() {
    if (data_)
      ::munmap(data_, size_);
  }
  mapping(const mapping&) = delete;
  mapping& operator=(const mapping&) = delete;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

  /// Mapped pages, in big ones where the file system has them: who computes then waits for nothing else.
  void read_ahead(const std::stop_token& stop) const {
    for (std::size_t at = 0; at < size_ && !stop.stop_requested(); at += defaults::read_ahead_bytes) {
      auto* piece = static_cast<std::byte*>(data_) + at;
      auto bytes = std::min<std::size_t>(defaults::read_ahead_bytes, size_ - at);
      if (::madvise(piece, bytes, MADV_POPULATE_READ) != 0)
        ::madvise(piece, bytes, MADV_WILLNEED);  // Linux before 5.14
    }
  }

private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

/// The header's text, its length checked against the file.
std::string_view header_text(std::span<const std::byte> file, const std::string& where) {
  if (file.size() < 8)
    fail(where, "has " + std::to_string(file.size()) + " bytes, but a safetensors file begins with 8 bytes of header "
                  "length; copy the file again");
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i)
    length = length << 8 | static_cast<std::uint64_t>(file[i]);
  if (length < 2 || length > defaults::safetensors_header_bytes || length > file.size() - 8)
    fail(where, "the header claims " + std::to_string(length) + " bytes, but the file has "
                  + std::to_string(file.size() - 8) + " after its first 8; copy the file again");
  return {reinterpret_cast<const char*>(file.data()) + 8, static_cast<std::size_t>(length)};
}

dtype dtype_of(const fields& entry) {
  auto name = entry.text("dtype");
  if (name == "F64")
    return dtype::f64;
  if (name == "F32")
    return dtype::f32;
  if (name == "BF16")
    return dtype::bf16;
  if (name == "F16")
    return dtype::f16;
  entry.complain("dtype", "only F64, F32, BF16 and F16 can be read");
}

/// Bytes that shape and dtype ask for.
std::uint64_t bytes_of(const tensor_view& t, const std::string& where) {
  std::uint64_t bytes = t.packed ? 1 : size_of(t.type);
  for (auto n : t.shape)
    if (__builtin_mul_overflow(bytes, n, &bytes))
      fail(where, "the shape has more than 2^64 bytes; the file is damaged");
  return bytes;
}

tensor_view read_entry(std::string name, const json::value& v, std::span<const std::byte> data,
                       const std::string& file, bool packed) {
  fields entry(v, file + ": tensor " + in_quotes(name));
  packed = packed && entry.text("dtype") == "U8";
  tensor_view t{std::move(name), packed ? dtype::f32 : dtype_of(entry), entry.whole_numbers("shape"), {}, packed};
  auto at = entry.whole_numbers("data_offsets");
  if (at.size() != 2 || at[0] > at[1] || at[1] > data.size())
    entry.complain("data_offsets", "it must be [begin, end] within the " + std::to_string(data.size())
                                     + " data bytes of the file; copy the file again");
  auto bytes = bytes_of(t, entry.where());
  if (bytes != at[1] - at[0])
    fail(entry.where(), "the shape asks for " + std::to_string(bytes) + " bytes, data_offsets give "
                          + std::to_string(at[1] - at[0]) + "; the file is damaged");
  t.data = data.subspan(at[0], bytes);
  return t;
}

/// Every data byte belongs to exactly one tensor.
void check_coverage(const std::map<std::string, tensor_view>& tensors, std::span<const std::byte> data,
                    const std::string& where) {
  std::vector<const tensor_view*> order;
  for (auto& [name, t] : tensors)
    order.push_back(&t);
  std::sort(order.begin(), order.end(), [](auto a, auto b) {
    return std::pair(a->data.data(), a->data.size()) < std::pair(b->data.data(), b->data.size());
  });
  std::uint64_t end = 0;
  for (auto t : order) {
    auto begin = static_cast<std::uint64_t>(t->data.data() - data.data());
    if (begin != end)
      fail(where, "tensor " + in_quotes(t->name) + " begins at byte " + std::to_string(begin)
                    + " of the data, but the one before it ends at " + std::to_string(end) + "; the file is damaged");
    end = begin + t->data.size();
  }
  if (end != data.size())
    fail(where, "the tensors end at byte " + std::to_string(end) + " of the data, but the file has "
                  + std::to_string(data.size()) + "; the file is damaged");
}

} // namespace

struct safetensors_file::impl {
  impl(const std::filesystem::path& file, bool packed) : map(file) {
    auto where = file.string();
    auto header = header_text(map.bytes(), where);
    auto data = map.bytes().subspan(8 + header.size());
    auto root = parse_strict(header, where + ": header");
    for (auto& [key, value] : fields(root, where + ": header").object())
      if (key != "__metadata__")
        tensors.emplace(key, read_entry(key, value, data, where, packed));
    check_coverage(tensors, data, where);
  }

  mapping map;
  std::map<std::string, tensor_view> tensors;
};

safetensors_file::safetensors_file(const std::filesystem::path& file, bool packed)
    : impl_(std::make_unique<impl>(file, packed)) {}
safetensors_file::~safetensors_file() = default;
safetensors_file::safetensors_file(safetensors_file&&) noexcept = default;
safetensors_file& safetensors_file::operator=(safetensors_file&&) noexcept = default;

const std::map<std::string, tensor_view>& safetensors_file::tensors() const { return impl_->tensors; }

void safetensors_file::read_ahead(const std::stop_token& stop) const { impl_->map.read_ahead(stop); }

} // namespace virga::models::hf
