// What of this node's roles runs on other nodes of its site, and how it comes together with them.
#include "actors/node/spawn_impl.hpp"
#include "actors/roles/pipeline.hpp"
#include "actors/site/defaults.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace virga {

/// A stub with a way to each node that holds this part of a role.
template <class Role>
Role node_state::spawn_far_part(role kind, const std::string& name, const role_part& c, role_entry& of) {
  auto stub = spawn_stub<Role>(kind, name, c.nodes.size());
  auto& part = far_parts_.emplace_back();
  part.kind = kind;
  part.nodes = c.nodes;
  part.incarnations.resize(c.nodes.size());
  part.found = [this, stub](std::uint32_t way, const neighbour_actor& at, std::uint64_t incarnation) {
    self->send(stub, target_atom::value, way, Role{at}, incarnation);
  };
  part.lost = [this, stub](std::uint32_t way, const std::string& why) { self->send(stub, lost_atom::value, way, why); };
  of.parts.push_back(&part);
  return stub;
}

void node_state::spawn_far_role(const role_config& c) {
  auto& r = roles_.emplace_back();
  r.config = c;
  r.incarnation = kids_->random();
  const auto name = std::string(to_string(c.kind)) + " " + std::string(to_string(c.serves)) + " of the site";
  if (c.kind == role::generator)
    far_sessions_ = spawn_far_part<session_host>(role::session_host, name, c.parts.front(), r);
  else if (c.kind == role::verifier && c.parts.size() == 1)
    r.verify = spawn_far_part<verifier>(role::verifier, name, c.parts.front(), r);
  else if (c.kind == role::verifier)
    spawn_pipeline(r, name);
  else
    throw std::runtime_error("role " + name + " is none that other nodes can run");
}

void node_state::spawn_pipeline(role_entry& r, const std::string& name) {
  pipeline_options options{r.config.first_layer, r.config.last_layer, {}, r.config.compute, r.config.chunk_rows};
  for (const auto& c : r.config.parts) {
    const auto part_name = name + ", layers " + std::to_string(c.first_layer) + "-" + std::to_string(c.last_layer - 1);
    options.parts.push_back({spawn_far_part<verifier>(role::verifier, part_name, c, r), c.first_layer, c.last_layer});
  }
  auto stub = spawn_stub<verifier>(role::verifier, name);
  r.verify = stub;
  r.run = &supervise<verifier>("pipeline split", end_order::roles, stub, nullptr, [this, options](std::uint64_t) {
    return self->spawn(make_pipeline, options);
  });
}

/// Where the other nodes of the site come. Without it they cannot: a node that cannot open it ends.
void node_state::open_door() {
  if (!parts.middleman)
    throw std::runtime_error("it has a site port, but CAF's middleman was not loaded");
  child c;
  c.name = "door";
  c.order = end_order::links;
  c.spawn = [this](std::uint64_t) {
    const auto before = door_ ? door_->address() : caf::actor_addr{};
    door_ = self->spawn(make_door, config.name);
    for (std::size_t i = 0; i < neighbours_.size(); ++i)
      if (neighbours_[i])
        self->send(door_, join_atom::value, config.neighbours[i].node, neighbours_[i]);
    before ? take_down(before) : publish_door();
    return caf::actor_cast<caf::actor>(door_);
  };
  kids_->add(std::move(c));
}

/// CAF keeps the port of an actor that is gone.
void node_state::take_down(const caf::actor_addr& before) {
  self->request(parts.middleman(self->system()), site_defaults::publish_time, caf::unpublish_atom::value, before, config.site_port)
    .then([this] { publish_door(); }, [this](const caf::error&) { publish_door(); });
}

void node_state::publish_door() {
  self->request(parts.middleman(self->system()), site_defaults::publish_time, caf::publish_atom::value, config.site_port,
                caf::actor_cast<caf::strong_actor_ptr>(door_), std::set<std::string>{}, config.site_host, true)
    .then([this](std::uint16_t port) { spdlog::info("node {} awaits its site at port {}", config.name, port); },
          [this](const caf::error&) {
            give_up("node " + config.name + ": site port " + std::to_string(config.site_port) + " of " + config.site_host
                    + " cannot be opened: another program may have it");
          });
}

void node_state::add_neighbour(std::size_t index) {
  if (!parts.middleman)
    throw std::runtime_error("it has neighbours, but CAF's middleman was not loaded");
  child c;
  c.name = "neighbour " + config.neighbours[index].node;
  c.order = end_order::links;
  c.spawn = [this, index](std::uint64_t) {
    neighbour_options options{config.neighbours[index], own_hello(), parts.middleman(self->system())};
    neighbours_[index] = self->spawn(make_neighbour, std::move(options), node{node_actor{self}}, offered());
    if (door_)
      self->send(door_, join_atom::value, config.neighbours[index].node, neighbours_[index]);
    return caf::actor_cast<caf::actor>(neighbours_[index]);
  };
  c.lost = [this, index](std::uint64_t, const std::string& why) {
    neighbour_table_->lose(index, "its actor here crashed: " + why);
    retarget_neighbours();
  };
  kids_->add(std::move(c));
}

/// Tells the stubs of far parts who runs them now.
void node_state::retarget_neighbours() {
  for (auto& part : far_parts_)
    for (std::size_t i = 0; i < part.nodes.size(); ++i) {
      const auto now = neighbour_table_->find(part.kind, part.nodes[i]);
      const auto incarnation = now ? now->incarnation : 0;
      if (std::exchange(part.incarnations[i], incarnation) == incarnation)
        continue;
      const auto way = static_cast<std::uint32_t>(i);
      if (now)
        part.found(way, neighbours_[now->via], incarnation);
      else
        part.lost(way, neighbour_table_->why_not(part.kind, part.nodes[i]));
    }
  publish();
}

} // namespace virga
