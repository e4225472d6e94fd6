// actors/link/send_window.hpp: how much may be under way on one connection. A plain class.
//
//   start     the window is four times larger after each round of it, until the rate is known
//   rate      from credits: the bytes that the peer's clock saw arrive, over the time it took, counted only while there
//             was always more to send (at the start: and the window let it). Smoothed with 0.8 of the past
//   base      the least round trip of the last ten seconds; when bulk has hidden it for so long, bulk pauses for one
//             round trip and it is measured anew
//   window    rate x base, and `standing` more: what keeps the link busy, so what an urgent message may have to wait for
//   pace      bulk leaves little faster than the link carries it, so that no window stands in the link at once
//
// Source: BBR (Cardwell et al., ACM Queue 2016) for measures and pace; the standing queue is design.md section 5's slice.
#pragma once

#include "actors/link/defaults.hpp"
#include "messages/types.hpp"

#include <chrono>
#include <cstdint>
#include <deque>

namespace virga {

class send_window {
public:
  static constexpr std::chrono::milliseconds sample_time{1};  ///< of a rate, at least
  static constexpr std::chrono::seconds base_age{10};         ///< then the base is measured anew
  static constexpr std::chrono::seconds pause_limit{1};       ///< bulk never waits longer for a measurement

  // Events.
  void sent(std::uint64_t bytes, priority urgency, time_point now);  ///< data bytes handed to the pipe
  void credited(const credit& c);
  void ping_sent() noexcept {
    clean_ping_ = bulk_ == 0;
    pinged_ = pausing_;
  }
  void round_trip(std::chrono::nanoseconds t, time_point now);
  void connection_lost();  ///< keeps what is known of the link, forgets what was under way

  /// There is nothing more to send: what is sent next does not show what the link can do.
  void ran_dry() noexcept { gap_ = gap::dry; }

  /// The least urgent class of which a unit may leave now.
  priority open_for(time_point now);
  /// When bulk that waits only for its pace may leave; time_point::max(): it waits for something else, or nothing does.
  time_point paced_until() const noexcept { return paced_until_; }
  /// A ping is wanted at once: bulk pauses for it.
  bool wants_ping() const noexcept { return pausing_ && !pinged_ && bulk_ == 0; }

  std::size_t slice_bytes() const noexcept;     ///< of a tensor in one unit
  std::uint64_t standing() const noexcept;      ///< bytes that may wait in the link beyond what it holds
  std::uint64_t window() const noexcept;        ///< bytes of bulk under way
  std::uint64_t rate() const noexcept { return rate_; }            ///< bytes/s; 0: not measured yet
  std::uint64_t under_way() const noexcept { return under_way_; }  ///< data bytes sent, not credited
  std::chrono::nanoseconds base() const noexcept { return base_; } ///< 0: not measured yet

private:
  enum class gap { none, window, dry };  // why nothing was sent before this
  struct mark {
    std::uint64_t begin = 0, end = 0;  // counted in bytes sent on this connection
    time_point at{};
    gap before{};
  };

  gap drop_sent();
  bool fits() const noexcept;
  bool paced(time_point now);
  void add_sample(std::uint64_t bytes, std::chrono::nanoseconds sending, std::chrono::nanoseconds receiving);
  void measured(std::uint64_t rate, bool sender_was_slower);

  std::uint64_t rate_ = 0;
  bool starting_ = true;
  std::uint64_t start_window_ = link_defaults::window_bytes_unmeasured;
  std::uint64_t round_bytes_ = 0;  // credited since it was enlarged
  std::chrono::nanoseconds base_{};
  time_point base_at_{};
  bool clean_ping_ = false;

  std::uint64_t under_way_ = 0, bulk_ = 0, sent_ = 0, credited_ = 0;
  std::deque<mark> marks_;  // of what is under way; bounded by window / slice
  gap gap_ = gap::dry;
  bool counting_ = false;   // a credit has come
  std::uint64_t received_us_ = 0;
  time_point credit_sent_{};  // when the byte that the last credit ended at was sent
  struct {
    std::uint64_t bytes = 0;
    std::chrono::nanoseconds sending{}, receiving{};
  } sample_;

  double pace_bytes_ = 0;  // that may leave now, as the pace has it; below 0 by less than one unit
  time_point pace_at_{};   // when that was
  time_point paced_until_ = time_point::max();
  bool pausing_ = false, pinged_ = false;
  time_point pause_since_{};
};

} // namespace virga
