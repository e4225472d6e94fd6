// deploy/restart_policy.hpp: when a node that died is started again, and when no more. Plain logic, no processes.
#pragma once

#include "actors/node/config.hpp"

#include <chrono>
#include <deque>
#include <optional>

namespace virga::deploy {

class restart_policy {
public:
  using clock = std::chrono::steady_clock;

  explicit restart_policy(supervision bounds) : bounds_(bounds) {}

  /// The node ended at `now`. @returns when to start it again; nothing when it ended more than max_restarts times within
  /// the window
  std::optional<clock::time_point> ended(clock::time_point now) {
    while (!ends_.empty() && now - ends_.front() > bounds_.within)
      ends_.pop_front();
    if (ends_.size() >= bounds_.max_restarts)
      return std::nullopt;
    auto wait = std::min<clock::duration>(first_wait * (1u << std::min<std::size_t>(ends_.size(), 8)), longest_wait);
    ends_.push_back(now);
    return now + wait;
  }

private:
  static constexpr std::chrono::milliseconds first_wait{100};  // a port may still be closing
  static constexpr std::chrono::seconds longest_wait{5};

  supervision bounds_;
  std::deque<clock::time_point> ends_;
};

} // namespace virga::deploy
