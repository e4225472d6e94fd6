// messages/assembler.hpp: from the bodies of wire units to slices, from slices to whole messages.
#pragma once

#include "messages/types.hpp"

#include <caf/expected.hpp>

#include <map>
#include <optional>
#include <span>

namespace virga {

/// One decoded wire unit: a whole message, or one slice of a message with a large tensor.
struct slice {
  frame part;                       ///< the message; its tensor has a type and a shape, and no data yet
  std::uint64_t offset = 0;         ///< where `data` belongs in the tensor, bytes
  std::uint64_t total = 0;          ///< bytes of the whole tensor; 0 for messages without one
  std::span<const std::byte> data;  ///< inside the body that was decoded; lives as long as it
  std::optional<failure> refused;   ///< a sound frame with a message that is not taken; `part.body` is then hello{}
};

/// Decodes and checks one body (8-byte aligned, `checksum` is its crc32c). Remaining milliseconds become a point after
/// `now`.
/// @returns ec::bad_frame or ec::bad_tensor for a body that breaks the format or a limit;
///   ec::handshake_refused for another protocol version
caf::expected<slice> decode_slice(std::span<const std::byte> body, std::uint32_t checksum, time_point now);

/// A whole message, or the reason why a sound one was not taken.
struct received {
  frame value;                     ///< header, sequence and urgency are valid in either case
  std::size_t wire_bytes = 0;      ///< of all its units so far, prefixes included
  std::optional<failure> refused;  ///< answer `value.hdr` with this; `value.body` is then hello{}
};

/// Puts the slices of many messages of one connection together. Slices of one message (same sequence number) come in
/// order, those of different messages may interleave. A message beyond limits::partial_tensors or partial_bytes is
/// refused once with ec::queue_full and its later slices are swallowed; so are those of a session after its cancel or
/// close_session came by, and of messages whose deadline has passed when room is needed. So a sender may drop the rest
/// of a session's messages once it has sent its cancel or close_session, and needs not.
class assembler {
public:
  /// @returns the message that `s` completes; nothing while slices are missing; ec::bad_frame, final for the
  ///   connection, for a slice out of order, overlapping, of another shape or header, or with no beginning
  caf::expected<std::optional<received>> add(slice s, std::size_t wire_bytes, time_point now);

  /// Messages being put together, and the bytes announced for them.
  std::size_t partial_count() const noexcept;
  std::size_t partial_bytes() const noexcept { return partial_bytes_; }

private:
  struct partial {
    frame value;
    std::uint64_t total = 0;
    std::uint64_t filled = 0;
    std::size_t wire_bytes = 0;
    bool swallowed = false;  // its data is gone; the rest is only followed
  };
  using partial_map = std::map<std::uint64_t, partial>;

  caf::expected<std::optional<received>> begin(slice s, std::size_t wire_bytes, time_point now);
  caf::expected<std::optional<received>> resume(partial_map::iterator i, slice s, std::size_t wire_bytes);
  bool fits(std::uint64_t bytes) const noexcept;
  bool has_room(std::uint64_t bytes, time_point now);  // after swallowing what is overdue
  void keep_swallowed(std::uint64_t sequence, partial p);
  void swallow(partial& p);
  void swallow_session(const session_id& id);
  void drop_excess();  // forgets the oldest swallowed beyond limits::partial_tensors

  partial_map partials_;  // by sequence number
  std::size_t partial_bytes_ = 0;
};

} // namespace virga
