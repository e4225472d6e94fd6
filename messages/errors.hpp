// messages/errors.hpp: the one error enum. Every failure that a role, a link or a user sees has one of these codes.
#pragma once

#include <cstdint>
#include <string_view>

namespace virga {

/// What went wrong. Travels as one byte with one u64 of detail; values never change their number.
enum class ec : std::uint8_t {
  none = 0,               ///< no error
  deadline_exceeded = 1,  ///< the request's deadline passed before its end
  cancelled = 2,          ///< the asker went away or said stop
  queue_full = 3,         ///< a bound on outstanding work is reached; detail: milliseconds to wait before a retry
  peer_unreachable = 4,   ///< the role's node, link or process is gone; nothing more will come for this request
  stale_position = 5,     ///< base lies beyond the cache; detail: the cache's length in positions
  stale_epoch = 6,        ///< an older placement of the session; detail: the current epoch
  stale_incarnation = 7,  ///< the role was restarted since; detail: the current incarnation
  unknown_session = 8,    ///< the role holds no such session (restarted, evicted or closed): open again and replay
  out_of_pages = 9,       ///< no KV memory left; detail: bytes free; the request changed nothing
  bad_frame = 10,         ///< bytes that are no valid frame, or a frame that breaks a limit
  bad_tensor = 11,        ///< shape, dtype, checksum or values of a tensor are wrong
  model_mismatch = 12,    ///< the two sides hold different models, stages, sizes or dtypes
  bad_request = 13,       ///< the user's request is wrong; the text names the field and the cure
  context_exceeded = 14,  ///< prompt plus answer is longer than the model's context; detail: the context
  unsupported = 15,       ///< asked for something this node, folder or build cannot do
  shutting_down = 16,     ///< the node drains; ask another
  model_error = 17,       ///< the shard threw; the text says what
  handshake_refused = 18, ///< the peer is of another version, name or model; the text names both values
  internal = 19,          ///< a broken promise inside virga
};

inline constexpr std::uint8_t ec_count = 20;

/// The code's name as written above, or "unknown" for a number that is no code.
std::string_view to_string(ec code) noexcept;

} // namespace virga
