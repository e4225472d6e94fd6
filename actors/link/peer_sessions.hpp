// actors/link/peer_sessions.hpp: the sessions that a peer has opened through one link. They are its own: through another
// link nobody can verify, close or cancel them.
#pragma once

#include "actors/link/defaults.hpp"
#include "messages/types.hpp"

#include <deque>
#include <map>
#include <vector>

namespace virga {

class peer_sessions {
public:
  /// At most link_defaults::peer_sessions; beyond, the oldest is forgotten.
  /// @param generating opened with `generate`: ends with the peer
  void opened(const session_id& id, bool generating) {
    if (!known_.insert_or_assign(id, generating).second)
      return;
    order_.push_back(id);
    if (order_.size() > link_defaults::peer_sessions)
      closed(session_id{order_.front()});
  }

  void closed(const session_id& id) {
    if (known_.erase(id) > 0)
      std::erase(order_, id);
  }

  bool knows(const session_id& id) const { return known_.count(id) > 0; }
  bool empty() const { return known_.empty(); }

  /// Takes out those that were generating, or all; oldest first.
  std::vector<session_id> take(bool generating_only) {
    std::vector<session_id> out;
    for (auto& id : order_)
      if (!generating_only || known_.at(id))
        out.push_back(id);
    for (auto& id : out)
      closed(id);
    return out;
  }

private:
  std::map<session_id, bool> known_;
  std::deque<session_id> order_;  // oldest first
};

} // namespace virga
