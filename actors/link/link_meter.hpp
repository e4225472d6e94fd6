// actors/link/link_meter.hpp: measures a link: round trip, rate in both directions, and the bytes of each session.
//
//   round trip       ping to pong
//   rate sent        as the send_window measures it from credits
//   rate received    bytes over time between two receipts, counted only while a message was incomplete after the first
//                    (its sender was in the middle of it)
//
// It is sampled over at least `sample_time`. Everything is smoothed with 0.8 of the past.
#pragma once

#include "actors/calls.hpp"

#include <chrono>
#include <cstdint>
#include <map>

namespace virga {

class link_meter {
public:
  static constexpr std::chrono::milliseconds sample_time{1};

  /// @param dialing the dialing side is the edge: what it sends goes up
  explicit link_meter(bool dialing) : dialing_{dialing} {}

  void round_trip(std::chrono::nanoseconds t);
  void send_rate(std::uint64_t bytes_per_s) { send_rate_ = bytes_per_s; }
  /// @param incomplete whether a message is incomplete after these bytes
  void received(std::uint64_t bytes, bool incomplete, time_point now);
  void connection_lost();                              ///< keeps what is known of the link, forgets what was under way

  traffic quality() const noexcept;                                   ///< without bytes

  // Bytes per session, of requests asked here that have answers.
  void asked(const session_id& id);                               ///< one more answer outstanding
  void repeated(const session_id& id);                            ///< the same request again: one answer less
  void session_bytes(const session_id& id, std::uint64_t sent, std::uint64_t received);
  traffic answered(const session_id& id, bool last);              ///< quality and the bytes since the answer before
  std::size_t sessions() const noexcept { return sessions_.size(); }

private:
  struct flow {
    std::uint64_t rate = 0;
    std::uint64_t bytes = 0;               // of the sample being taken
    std::chrono::nanoseconds time{};
    time_point last{};
    void add(std::uint64_t more, bool limited_by_link, time_point now);
    void reset();
  };
  struct account {
    std::uint64_t sent = 0, received = 0, outstanding = 0;
  };

  bool dialing_;
  std::uint64_t rtt_us_ = 0;
  std::uint64_t send_rate_ = 0;
  flow receiving_;
  bool incomplete_ = false;                 // a message was, after the last receipt
  std::map<session_id, account> sessions_;  // bounded by the calls outstanding
};

} // namespace virga
