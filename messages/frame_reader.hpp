// messages/frame_reader.hpp: cuts a stream of bytes into checked wire units.
#pragma once

#include "messages/types.hpp"

#include <caf/expected.hpp>

#include <optional>
#include <span>

namespace virga {

/// A wire unit is a prefix and a body. Prefix: u32 length of the body, u32 CRC32C of the body, both little-endian.
/// Body: one Cap'n Proto message of one or two segments, a whole number of 8-byte words, at most limits::frame_bytes.
inline constexpr std::size_t wire_prefix_bytes = 8;

/// Takes bytes as they come from a connection and gives wire units one after the other. One per connection and
/// direction; not thread safe. An error is final: the stream cannot be found again, so every later call repeats it.
class frame_reader {
public:
  /// Bytes of room() at least while next() has nothing.
  static constexpr std::size_t room_bytes = 64 * 1024;

  /// Where the next received bytes go; filled() says how many were put there. Call next() until it has nothing before
  /// asking again: what waits is bounded by one unit and room_bytes, and at that bound there is no room.
  std::span<std::byte> room();
  void filled(std::size_t bytes) noexcept { end_ += bytes; }

  /// @returns the body of the next whole unit (8-byte aligned, inside this object, valid until the next room());
  ///   nothing while bytes are missing; ec::bad_frame, final, for a bad length or checksum
  caf::expected<std::optional<std::span<const std::byte>>> next();

  /// The checksum of the body that next() gave last.
  std::uint32_t checksum() const noexcept { return checksum_; }

  /// Bytes received and not yet given out.
  std::size_t waiting() const noexcept { return end_ - begin_; }

private:
  byte_buffer buffer_;
  std::size_t begin_ = 0, end_ = 0;  // of what waits
  std::uint32_t checksum_ = 0;
  caf::error broken_;
};

} // namespace virga
