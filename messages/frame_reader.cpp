#include "messages/frame_reader.hpp"

#include "messages/crc32c.hpp"
#include "messages/limits.hpp"
#include "messages/type_ids.hpp"

#include <cstring>

namespace virga {

namespace {

constexpr std::size_t word_bytes = 8;

std::uint32_t load_u32(const std::byte* p) noexcept {
  std::uint32_t value;
  std::memcpy(&value, p, sizeof value); // little-endian machines only, see crc32c.cpp
  return value;
}

} // namespace

caf::error frame_reader::feed(std::span<const std::byte> bytes) {
  if (broken_)
    return broken_;
  if (waiting() + bytes.size() > wire_prefix_bytes + limits::frame_bytes + feed_bytes)
    return broken_ = make_error(ec::queue_full, "more bytes were fed than a frame reader holds; next() was not called");
  // Units are whole words, so what is left starts at a whole word, and so it does again after the move.
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
  begin_ = 0;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

caf::expected<std::optional<std::span<const std::byte>>> frame_reader::next() {
  using result = std::optional<std::span<const std::byte>>;
  if (broken_)
    return broken_;
  if (waiting() < wire_prefix_bytes)
    return result{};
  auto prefix = buffer_.data() + begin_;
  auto length = load_u32(prefix);
  if (length == 0 || length > limits::frame_bytes || length % word_bytes != 0)
    return broken_ = make_error(ec::bad_frame, "a frame of " + std::to_string(length) + " bytes: it must be whole "
                                               "words of 8, at most " + std::to_string(limits::frame_bytes) + " bytes");
  if (waiting() < wire_prefix_bytes + length)
    return result{};
  auto body = std::span<const std::byte>{prefix + wire_prefix_bytes, length};
  if (crc32c(body) != load_u32(prefix + 4))
    return broken_ = make_error(ec::bad_frame, "a frame's checksum does not fit its bytes");
  begin_ += wire_prefix_bytes + length;
  return result{body};
}

} // namespace virga
