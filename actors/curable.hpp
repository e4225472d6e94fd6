// actors/curable.hpp: which failures end a placement and which end its request. Sessions, relays and roles that keep what a lost
// placement had agree on it.
#pragma once

#include "messages/errors.hpp"

namespace virga {

/// Losses that another placement can cure. All others are the request's own fault or final.
inline bool curable(ec code) {
  switch (code) {
    case ec::peer_unreachable:
    case ec::unknown_session:
    case ec::stale_epoch:
    case ec::stale_incarnation:
    case ec::stale_position:
      return true;
    default:
      return false;
  }
}

} // namespace virga
