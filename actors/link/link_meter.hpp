// actors/link/link_meter.hpp: measures a link: round trip, rate in both directions, and the bytes of each session.
//
//   round trip       ping to pong, smoothed with 0.8 of the past
//   rate sent        delivery rate: bytes that a credit gives back over the time since the credit before it, counted
//                    only while more than that was under way all the time (so that the link, not the asker, was the limit)
//   rate received    bytes of a burst over its time; a burst is receipts less than `burst_gap` apart; bursts below
//                    `burst_bytes` are not counted, the first receipt only starts the clock
#pragma once

#include "actors/calls.hpp"

#include <chrono>
#include <cstdint>
#include <map>

namespace virga {

class link_meter {
public:
  static constexpr std::chrono::milliseconds burst_gap{5};
  static constexpr std::uint64_t burst_bytes = 32 * 1024;

  /// @param dialing the dialing side is the edge: what it sends goes up
  explicit link_meter(bool dialing) : dialing_{dialing} {}

  void round_trip(std::chrono::nanoseconds t);
  void sent(std::uint64_t bytes, time_point now);      ///< data bytes handed to the pipe
  void credited(std::uint64_t bytes, time_point now);  ///< data bytes that the peer has consumed
  void received(std::uint64_t bytes, time_point now);
  void connection_lost();                              ///< keeps what is known of the link, forgets what was under way

  std::uint64_t send_rate() const noexcept { return send_rate_; }  ///< bytes/s; 0: not measured yet
  traffic quality() const noexcept;                                ///< without bytes

  // Bytes per session, of requests asked here that have answers.
  void asked(const session_id& id);                               ///< one more answer outstanding
  void session_bytes(const session_id& id, std::uint64_t sent, std::uint64_t received);
  traffic answered(const session_id& id, bool last);              ///< quality and the bytes since the answer before
  std::size_t sessions() const noexcept { return sessions_.size(); }

private:
  struct account { std::uint64_t sent = 0, received = 0, outstanding = 0; };
  static void smooth(std::uint64_t& value, std::uint64_t sample);

  bool dialing_;
  std::uint64_t rtt_us_ = 0, send_rate_ = 0, receive_rate_ = 0;
  std::uint64_t under_way_ = 0;
  bool busy_ = false;             // more was under way than one credit step since `last_credit_`
  time_point last_credit_{}, burst_start_{}, last_receipt_{};
  std::uint64_t burst_ = 0;
  std::map<session_id, account> sessions_;  // bounded by the calls outstanding
};

} // namespace virga
