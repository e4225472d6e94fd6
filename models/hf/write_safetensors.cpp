#include "models/hf/json.hpp"
#include "models/hf/safetensors.hpp"
#include "models/kernels/packed.hpp"


namespace virga::models::hf {

namespace {

constexpr std::size_t cache_line = 64;

const char* dtype_name(dtype t) {
  switch (t) {
    case dtype::f64: return "F64";
    case dtype::f32: return "F32";
    case dtype::bf16: return "BF16";
    case dtype::f16: return "F16";
    case dtype::i8_rows:
    case dtype::int8:
    case dtype::int4: break;
  }
  throw std::runtime_error("a safetensors file cannot hold this dtype");
}

std::uint64_t bytes_of(const tensor_view& t) {
  if (t.packed)
    return kernels::packed_shape{t.type, static_cast<std::uint32_t>(t.shape.at(0)),
                                 static_cast<std::uint32_t>(t.shape.at(1))}
        .bytes();
  std::uint64_t bytes = size_of(t.type);
  for (auto n : t.shape)
    bytes *= n;
  return bytes;
}

void check(const tensor_view& t) {
  if (auto bytes = bytes_of(t); bytes != t.data.size())
    throw std::runtime_error("tensor " + in_quotes(t.name) + " has " + std::to_string(t.data.size())
                             + " bytes, its shape asks for " + std::to_string(bytes));
}

std::string header(std::span<const tensor_view> tensors) {
  json::object root;
  std::uint64_t at = 0;
  for (auto& t : tensors) {
    if (t.name.empty() || t.name == "__metadata__")
      throw std::runtime_error("a tensor cannot have the name " + in_quotes(t.name));
    auto bytes = bytes_of(t);
    json::object entry{{"dtype", t.packed ? "U8" : dtype_name(t.type)},
                       {"shape", t.packed ? json::array{bytes} : json::array(t.shape.begin(), t.shape.end())},
                       {"data_offsets", {at, at + bytes}}};
    if (!root.emplace(t.name, std::move(entry)).second)
      throw std::runtime_error("tensor " + in_quotes(t.name) + " is given twice");
    at += bytes;
  }
  auto text = json::serialize(root);
  text.append((cache_line - (8 + text.size()) % cache_line) % cache_line, ' ');
  return text;
}

} // namespace

safetensors_writer::safetensors_writer(std::filesystem::path file, std::span<const tensor_view> tensors)
    : file_(std::move(file)), part_(file_) {
  part_ += ".part";
  auto text = header(tensors);
  for (auto& t : tensors)
    missing_ += bytes_of(t);
  out_.open(part_, std::ios::binary | std::ios::trunc);
  for (std::uint64_t n = text.size(), i = 0; i < 8; ++i)
    out_.put(static_cast<char>(n >> (8 * i)));
  out_.write(text.data(), static_cast<std::streamsize>(text.size()));
}

safetensors_writer::~safetensors_writer() {
  std::error_code ignored;
  out_.close();
  std::filesystem::remove(part_, ignored);
}

void safetensors_writer::add(std::span<const std::byte> bytes) {
  out_.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  missing_ -= bytes.size();
  if (!out_)
    throw std::runtime_error(file_.string() + ": cannot be written; is the disk full?");
}

void safetensors_writer::finish() {
  out_.close();
  if (!out_)
    throw std::runtime_error(file_.string() + ": cannot be written; is the disk full?");
  if (missing_ != 0)
    throw std::logic_error(file_.string() + ": the tensors are not as long as their header says");
  std::filesystem::rename(part_, file_);
}

void write_safetensors(const std::filesystem::path& file, std::span<const tensor_view> tensors,
                       const load_progress& progress) {
  std::uint64_t done = 0, total = 0;
  for (auto& t : tensors) {
    check(t);
    total += t.data.size();
  }
  safetensors_writer out(file, tensors);
  for (auto& t : tensors) {
    out.add(t.data);
    done += t.data.size();
    if (progress)
      progress("writing weights", done, total);
  }
  out.finish();
}

} // namespace virga::models::hf
