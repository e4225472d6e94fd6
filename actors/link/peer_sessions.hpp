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

  void closed(const session_id& id) {
    auto it = known_.find(id);
    if (it == known_.end())
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

  /// The peer is lost. @returns those that were generating, oldest first: they end. The others are orphans until the peer
  /// opens them again.
  std::vector<session_id> lose() {
    for (auto& [id, s] : known_)
      s.orphan = true;
    orphans_ = known_.size();
    return take([](const state& s) { return s.generating; });
  }

  bool any_orphans() const { return orphans_ > 0; }

  /// Takes out those that the peer has not opened again, oldest first.
  std::vector<session_id> take_orphans() {
    return take([](const state& s) { return s.orphan; });
  }

private:
  struct state {
    std::uint32_t epoch = 0;
    bool generating = false;
    bool orphan = false;
  };

  template <class Which>
  std::vector<session_id> take(Which which) {
    std::vector<session_id> out;
    for (auto& id : order_)
      if (which(known_.at(id)))
        out.push_back(id);
    for (auto& id : out)
      closed(id);
    return out;
  }

  std::map<session_id, state> known_;
  std::size_t orphans_ = 0;
  std::deque<session_id> order_;  // oldest first
};

} // namespace virga
