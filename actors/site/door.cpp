#include "actors/site/door.hpp"

#include <spdlog/spdlog.h>

namespace virga {

void door_state::knock(const site_bytes& greeting) {
  const auto now = self->clock().now();
  const auto first = frame_in(greeting, now);
  const auto* theirs = first ? std::get_if<hello>(&first->body) : nullptr;
  const auto name = theirs ? theirs->node : std::string{};
  if (auto known = neighbours.find(name); known != neighbours.end())
    return self->send(known->second, join_atom::value, self->current_sender(), greeting);
  spdlog::warn("node {} refuses \"{}\" at its site port: no such node of the site comes here", node_name, name);
  failure why{ec::handshake_refused, 0, "no node \"" + name + "\" is expected at " + node_name};
  auto no = encode({{}, 1, priority::control, std::move(why)}, now);
  if (auto from = caf::actor_cast<unit_sink>(self->current_sender()); from && no)
    self->send(from, site_bytes{std::move(no->front())});
}

door_actor::behavior_type make_door(door_actor::stateful_pointer<door_state> self, std::string node_name) {
  auto& st = self->state;
  st.node_name = std::move(node_name);
  return {[&st](join_atom, const site_bytes& greeting) { st.knock(greeting); },
          [&st](join_atom, const std::string& name, const neighbour_actor& at) { st.neighbours[name] = at; }};
}

} // namespace virga
