// actors/node/spawn_impl.hpp: how a NODE spawns a stub and what stands behind it. Private to spawn_*.cpp.
#pragma once

#include "actors/node/node_state.hpp"
#include "actors/stub.hpp"

namespace virga {

template <class Role>
stub_of<Role> node_state::spawn_stub(role kind, const std::string& name, std::size_t ways) {
  stub_options options;
  options.kind = kind;
  options.name = name;
  options.planted = config.planted;
  options.ways = ways;
  stub_of<Role> stub = self->spawn(make_stub<Role>, std::move(options));
  kids_->keep("stub of " + name, caf::actor_cast<caf::actor>(stub));
  return stub;
}

/// Supervises a role behind its stub. `make(incarnation)` spawns it; its sequences at `owner_at` are freed when it dies.
template <class Role, class Make>
child& node_state::supervise(std::string name, end_order order, stub_of<Role> stub, engine_entry* owner_at, Make make) {
  child c;
  c.name = std::move(name);
  c.order = order;
  c.loads = std::is_same_v<Role, engine>;
  c.spawn = [this, stub, make](std::uint64_t incarnation) {
    auto actor = make(incarnation);
    self->send(stub, target_atom::value, std::uint32_t{0}, Role{actor}, incarnation);
    return caf::actor_cast<caf::actor>(actor);
  };
  c.lost = [this, stub, owner_at](std::uint64_t incarnation, const std::string& why) {
    self->send(stub, lost_atom::value, std::uint32_t{0}, why);
    if (owner_at && config.planted != planted_bug::leaked_sequences)
      self->send(owner_at->stub, forget_atom::value, incarnation);
  };
  return kids_->add(std::move(c));
}

} // namespace virga
