#include "actors/node/peer_table.hpp"

#include <algorithm>

namespace virga {

namespace {

std::uint64_t incarnation_of(const peer_state& peer, role kind) {
  const auto it = std::ranges::find(peer.roles, kind, &role_status::kind);
  return peer.up && it != peer.roles.end() ? it->incarnation : 0;
}

std::string does_not_run(const peer_state& peer, role kind) {
  return peer.node + " does not run a " + std::string(to_string(kind)) + " now";
}

} // namespace

peer_table::peer_table(const std::vector<link_config>& links) {
  for (const auto& l : links)
    peers_.push_back({l.peer_site, l.peer_node, false, "not connected yet", {}, {}, {}});
}

bool peer_table::update(peer_state now) {
  const auto it = std::ranges::find_if(
    peers_, [&](const peer_state& p) { return p.site == now.site && (now.node.empty() || p.node == now.node); });
  if (it == peers_.end())
    return false;
  if (now.node.empty())
    now.node = it->node;
  *it = std::move(now);
  return true;
}

void peer_table::lose(std::size_t index, std::string why) {
  auto& p = peers_.at(index);
  p.up = false;
  p.reason = std::move(why);
  p.roles.clear();
}

std::optional<peer_table::offer> peer_table::find(role kind) const {
  for (std::size_t i = 0; i < peers_.size(); ++i)
    if (auto incarnation = incarnation_of(peers_[i], kind))
      return offer{i, incarnation};
  return std::nullopt;
}

std::optional<peer_table::offer> peer_table::find(role kind, const std::string& node_name) const {
  for (std::size_t i = 0; i < peers_.size(); ++i)
    if (peers_[i].node == node_name)
      if (auto incarnation = incarnation_of(peers_[i], kind))
        return offer{i, incarnation};
  return std::nullopt;
}

std::string peer_table::why_not(role kind, const std::string& node_name) const {
  const auto p = std::ranges::find(peers_, node_name, &peer_state::node);
  if (p == peers_.end())
    return "there is no node " + node_name;
  return p->up ? does_not_run(*p, kind) : p->reason;
}

std::string peer_table::why_not(role kind) const {
  if (peers_.empty())
    return "this node has no link";
  for (const auto& p : peers_)
    if (p.up)
      return does_not_run(p, kind);
  return peers_.front().node + ": " + peers_.front().reason;
}

} // namespace virga
