// actors/node/node.hpp: the actor that spawns a node's roles, supervises them and ends them in order.
#pragma once

#include "actors/link/transport.hpp"
#include "actors/node/config.hpp"

#include <caf/io/middleman_actor.hpp>
#include <caf/stateful_actor.hpp>

namespace virga {

/// The stubs that stand on every node; what a gateway (or the simulation's client) talks to.
struct node_stubs {
  stub_of<session_host> sessions;  ///< of this node; it relays what lives at the peer
};

/// What differs between production and simulation. `main` builds these and passes them on.
struct node_parts {
  /// Makes the pipe of one link; its events go to `events`.
  std::function<std::unique_ptr<transport>(const link_config&, pipe_events events)> make_transport;
  /// Where links run; empty: like all other actors (the simulation). See spawn_link.
  std::function<caf::execution_unit*(caf::actor_system&)> link_host;
  /// CAF's middleman with TLS, for nodes that have neighbours; see actors/site/modules.hpp.
  std::function<caf::io::middleman_actor(caf::actor_system&)> middleman{};
  /// Starts a gateway; empty in the simulation. The node keeps the handle, supervises it and ends it first.
  /// @throws std::runtime_error with one sentence when it cannot start (port in use, no keys off loopback)
  std::function<caf::actor(caf::actor_system&, const gateway_config&, const node_stubs&, node)> start_gateway{};
};

struct node_state;

/// Spawn with make_node(config, parts). A second node handler gives the stubs:
using node_actor = node::extend_with<caf::typed_actor<caf::replies_to<roles_atom>::with<node_stubs>>>;
node_actor::behavior_type make_node(node_actor::stateful_pointer<node_state> self, node_config config, node_parts parts);

} // namespace virga

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::node_stubs)
