// actors/session/retries.hpp: when a lost placement is worth another one. A plain class; sessions and relays carry it.
#pragma once

#include "actors/curable.hpp"
#include "actors/node/config.hpp"

#include <optional>

namespace virga {

/// How long a lost session waits before it asks again.
inline constexpr auto retry_delay = std::chrono::milliseconds(100);

class retries {
public:
  /// There is news of the placement: what was lost is found.
  void progressed() { lost_since_.reset(); }

  /// The placement is lost. @returns whether to ask again after retry_delay: for `patience` since the first loss, and not
  /// beyond the deadline
  bool again(time_point now, caf::timespan patience, time_point deadline) {
    if (!lost_since_)
      lost_since_ = now;
    return now - *lost_since_ < patience && now + retry_delay < deadline;
  }

private:
  std::optional<time_point> lost_since_;
};

} // namespace virga
