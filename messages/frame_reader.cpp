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

std::span<std::byte> frame_reader::room() {
  constexpr auto most = wire_prefix_bytes + limits::frame_bytes + room_bytes;
  if (begin_ == end_)
    begin_ = end_ = 0;  // these bytes are still in the processor's cache
  if (buffer_.size() - end_ < room_bytes && begin_ > 0) {
    // Units are whole words, so what is left starts at a whole word, and so it does again after the move.
    std::memmove(buffer_.data(), buffer_.data() + begin_, waiting());
    end_ = waiting();
    begin_ = 0;
  }
  if (buffer_.size() - end_ < room_bytes)
    buffer_.resize(std::min(most, std::max(2 * buffer_.size(), 4 * room_bytes)));
  return std::span{buffer_}.subspan(end_);
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
  checksum_ = crc32c(body);
  if (checksum_ != load_u32(prefix + 4))
    return broken_ = make_error(ec::bad_frame, "a frame's checksum does not fit its bytes");
  begin_ += wire_prefix_bytes + length;
  return result{body};
}

} // namespace virga
