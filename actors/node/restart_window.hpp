// actors/node/restart_window.hpp: how often one actor may crash. A plain class.
#pragma once

#include "actors/node/config.hpp"

#include <deque>

namespace virga {

/// Allows `max_restarts` restarts in any span of `within`.
class restart_window {
public:
  explicit restart_window(supervision bounds) : bounds_(bounds) {}

  /// The actor crashed at `now`. @returns whether it may be restarted
  bool allow(time_point now) {
    while (!crashes_.empty() && now - crashes_.front() >= bounds_.within)
      crashes_.pop_front();
    crashes_.push_back(now);
    return crashes_.size() <= bounds_.max_restarts;
  }

private:
  supervision bounds_;
  std::deque<time_point> crashes_;
};

} // namespace virga
