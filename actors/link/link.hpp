// actors/link/link.hpp: the LINK actor. It carries calls and answers of local stubs to the peer and back; link_protocol
// decides what is sent when, a transport moves the bytes.
#pragma once

#include "actors/link/peer_calls.hpp"
#include "actors/link/protocol.hpp"
#include "actors/link/transport.hpp"
#include "actors/node/config.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <optional>

namespace virga {

using link_actor = link::extend_with<pipe_events>;

/// Makes the pipe of one link; its events go to `events`. node_parts has one.
using transport_factory = std::function<std::unique_ptr<transport>(const link_config&, pipe_events events)>;

struct link_options {
  link_config config;
  hello own;               ///< what this node says of itself, with the roles that it offers the peer at start
  std::uint64_t seed = 0;  ///< of the jitter
  std::size_t queue_bytes = link_defaults::queue_bytes;
};

struct link_state : peer_way {
  using pointer = link_actor::stateful_pointer<link_state>;

  explicit link_state(pointer self_ptr) : self{self_ptr} {}

  // What the behaviour calls.
  void run(link_actions actions);
  void move_bytes();
  void tick();
  peer_state current() const;
  link_counts counted() const;
  time_point now() const;

  // The protocol's actions.
  void act(open_pipe&);
  void act(close_pipe&);
  void act(deliver_frame&);
  void act(refused_frame&);
  void act(undelivered&);
  void act(peer_up&);
  void act(peer_roles&);
  void act(peer_down&);

  // What the calls need of the protocol.
  void send_peer(frame f) override;
  void repeated(const session_id& id) override;
  traffic answered(const session_id& id, bool last) override;

  bool receive(std::size_t& left);
  bool send(std::size_t& left);

  // The rest.
  void tell_node();
  void schedule();

  pointer self;
  link_config config;
  node parent;
  std::optional<peer_calls> calls;
  std::unique_ptr<link_protocol> protocol;
  std::unique_ptr<transport> pipe;
  std::deque<link_action> todo;             // the one in front is being carried out
  std::vector<role_status> roles;           // that the peer offers now
  std::string reason = "not connected yet";  // why it is down; empty: it is up
  time_point scheduled = time_point::max();
  bool moving = false;                      // bytes: what happens meanwhile is seen in the same turn
};

/// The behaviour. Opens its pipe at once; tells `parent` whenever the peer comes, goes or changes its roles.
link_actor::behavior_type make_link(link_state::pointer self, link_options options, transport_factory make_transport,
                                    node parent, offered_roles offered);

/// Spawns it so that it runs on `host` alone, whoever sends to it: a network's thread, where no hop lies between socket and
/// protocol. Without one it runs like any other actor (the simulation).
link_actor spawn_link(caf::actor_system& system, caf::execution_unit* host, link_options options,
                      transport_factory make_transport, node parent, offered_roles offered);

} // namespace virga
