// actors/link/send_queue.hpp: what waits to be sent on one connection, and what goes next.
//
//   control queue    link frames, cancel, close: first, in order, free of credit; cancel and close take what their session
//                    has asked of the role and has not left whole out of its lane, so nothing runs after its cancel
//   lanes            one per (session, role), each in order; a lane is as urgent as its most urgent message, so a decode
//                    message promotes the bulk of its own session before it and nothing else's
//
// Lanes of one urgency take turns, one slice each. A message gets its sequence number when its first slice leaves.
#pragma once

#include "actors/link/defaults.hpp"
#include "messages/codec.hpp"
#include "messages/types.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace virga {

/// A message that never left, and why; the asker has to be told.
struct undelivered {
  frame message;
  failure why;
};

class send_queue {
public:
  explicit send_queue(std::size_t limit_bytes) : limit_{limit_bytes} {}

  /// Takes a message. @returns ec::queue_full with a time to retry when the bound is reached; `f` is then untouched
  std::optional<failure> push(frame&& f);

  struct unit {
    wire_unit wire;
    session_id session;
    priority urgency = priority::control;
    bool costs_credit = false;
  };
  /// The next wire unit, its slice of `slice_bytes` at most; nothing when all that is as urgent as `least` has left.
  /// Its data is valid until the next pop(), clear(), or push() of a cancel or close.
  std::optional<unit> pop(time_point now, std::size_t slice_bytes, priority least);

  /// Messages that could not be encoded since the last call.
  std::vector<undelivered> take_undelivered() { return std::exchange(undelivered_, {}); }

  /// The connection is gone: empties the queue and starts sequence numbers again at 1.
  void clear();

  std::size_t bytes() const noexcept { return bytes_; }
  bool empty() const noexcept { return control_.empty() && lanes_.empty(); }

private:
  using lane_key = std::pair<session_id, role>;
  struct message {
    frame value;
    std::size_t charged = 0;         // bytes it counts for in bytes_
    bool begun = false;
    std::size_t offset = 0;          // of its tensor's next slice
    bool ends() const;
  };
  struct lane {
    std::deque<message> messages;
    std::array<std::size_t, 3> waiting{};  // of these, by urgency
    priority urgency() const;
  };

  std::optional<unit> pop_control(time_point now);
  std::optional<unit> pop_lane(priority urgency, time_point now, std::size_t slice_bytes);
  std::optional<wire_unit> next_unit(message& m, time_point now, std::size_t slice_bytes);
  void finish_front(const lane_key& key);
  void drop_requests(const lane_key& key);

  std::size_t limit_;
  byte_buffer leaving_;  // the tensor of a message whose last unit pop() gave
  std::size_t bytes_ = 0;
  std::size_t begun_ = 0;
  std::uint64_t sequence_ = 0;
  std::deque<message> control_;
  std::map<lane_key, lane> lanes_;
  std::array<std::deque<lane_key>, 3> turns_;  // by urgency; each lane stands in exactly one
  std::vector<undelivered> undelivered_;
};

/// Whether it ends its session at a role: cancel and close.
bool is_end(const payload& body);

/// Where a message stands: link frames, cancel and close are control; tensors of more than decode_rows rows are bulk.
priority urgency_of(const payload& body);

} // namespace virga
