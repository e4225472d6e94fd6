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
  /// @param generating opened with `generate`: a session, not what a role holds of one
  void opened(const session_id& id, std::uint32_t epoch, bool generating) {
    auto [it, fresh] = known_.try_emplace(id);
    orphans_ -= it->second.orphan ? 1 : 0;
    it->second = {epoch, generating, false};
    if (!fresh)
      return;
    order_.push_back(id);
    if (order_.size() > link_defaults::peer_sessions)
      closed(session_id{order_.front()});
  }

  /// @param epoch of the placement that ended; a newer one stays
  void closed(const session_id& id, std::uint32_t epoch = UINT32_MAX) {
    auto it = known_.find(id);
    if (it == known_.end() || it->second.epoch > epoch)
      return;
    orphans_ -= it->second.orphan ? 1 : 0;
    known_.erase(it);
    std::erase(order_, session_id{id});
  }

  /// Of its placements that were opened here; 0 when there was none.
  std::uint32_t newest_epoch(const session_id& id) const {
    auto it = known_.find(id);
    return it == known_.end() ? 0 : it->second.epoch;
  }

  bool knows(const session_id& id) const { return known_.count(id) > 0; }
  bool empty() const { return known_.empty(); }

  /// The peer is lost: all are orphans until it opens them again.
  void lose() {
    for (auto& [id, s] : known_)
      s.orphan = true;
    orphans_ = known_.size();
  }

  bool any_orphans() const { return orphans_ > 0; }

  struct orphan {
    session_id id;
    bool generating = false;
  };

  /// Takes out those that the peer has not opened again, oldest first.
  std::vector<orphan> take_orphans() {
    std::vector<orphan> out;
    for (auto& id : order_)
      if (auto& s = known_.at(id); s.orphan)
        out.push_back({id, s.generating});
    for (auto& o : out)
      closed(o.id);
    return out;
  }

private:
  struct state {
    std::uint32_t epoch = 0;
    bool generating = false;
    bool orphan = false;
  };

  std::map<session_id, state> known_;
  std::size_t orphans_ = 0;
  std::deque<session_id> order_;  // oldest first
};

} // namespace virga
