// actors/site/neighbour.hpp: the NEIGHBOUR actor: one other node of this site, reached through CAF's middleman. It does for it
// what a LINK does for another site, and needs less: connection, TLS, order, heartbeats and the news of a lost node are CAF's.
//
//   dialing side:   away --connect--> door of the other node --join(hello)--> its NEIGHBOUR for us --hello--> together
//   accepting side: away --join(hello), from the DOOR--> hello --> together
//   both:           together --the other's NEIGHBOUR is down (its node ended, its connection broke)--> away
//
// Messages are frames (messages/codec.hpp), each of their units one CAF message.
#pragma once

#include "actors/link/peer_calls.hpp"
#include "actors/node/config.hpp"
#include "actors/site/site_bytes.hpp"
#include "messages/codec.hpp"

#include <caf/io/middleman_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <optional>

namespace virga {

using join_atom = caf::atom_constant<caf::atom("join")>;

/// Whoever takes units: the other node's NEIGHBOUR, as this node sees it.
using unit_sink = caf::typed_actor<caf::reacts_to<site_bytes>>;

/// DOOR of a node, as the nodes that knock see it; see door.hpp.
using knocker = caf::typed_actor<
  // A node of the site greets with its hello, and says by whom it wants to be answered: the sender.
  caf::reacts_to<join_atom, site_bytes>>;

using neighbour_actor = link::extend_with<caf::typed_actor<
  // A unit from the other node's NEIGHBOUR for us.
  caf::reacts_to<site_bytes>,
  // From our DOOR: this actor of the other node wants to be together with us; the bytes are its hello.
  caf::reacts_to<join_atom, caf::strong_actor_ptr, site_bytes>,
  // Try to reach the other node (again).
  caf::reacts_to<begin_atom>>>;

struct neighbour_options {
  neighbour_config config;
  hello own;                              ///< what this node says of itself
  caf::io::middleman_actor middleman{};   ///< CAF's, with TLS; of the dialing side
};

struct neighbour_state : peer_way {
  using pointer = neighbour_actor::stateful_pointer<neighbour_state>;

  explicit neighbour_state(pointer self_ptr) : self(self_ptr) {}

  void start();
  void connect();
  void join(const caf::strong_actor_ptr& other, const site_bytes& greeting);
  void receive(site_bytes& unit);
  void on_down(const caf::down_msg& down);
  void roles_changed(std::vector<role_status> roles);
  void tick();
  peer_state current() const;

  void send_peer(frame f) override;

  pointer self;
  neighbour_options options;
  node parent;
  std::optional<peer_calls> calls;

private:
  void greet(const caf::strong_actor_ptr& door);
  void open(const site_bytes& unit, const unit_sink& from);
  std::optional<std::string> decode(const site_bytes& unit);
  void take(received& message);
  void meet(const hello& other);
  void lose(std::string why);
  void leave_door();
  void later();
  bool for_running_role(const frame& message);
  void send_unchecked(frame f);
  void tell_node();
  void schedule();

  unit_sink other_;                     ///< the other node's NEIGHBOUR for us; invalid: away
  bool together_ = false;               ///< its hello has come
  caf::strong_actor_ptr door_;          ///< at which we knocked and wait
  time_point greeted_{};                ///< when
  std::optional<frame_decoder> units_;  ///< of the other side, anew each time
  std::uint64_t sent_ = 0;              ///< messages to it
  std::vector<role_status> roles_;      ///< that it offers
  std::string reason_ = "not connected yet";
  caf::timespan wait_{};                ///< before the next try
  bool connecting_ = false, ticking_ = false;
  link_counts seen_;
};

/// The message in one unit alone, as a greeting is; nothing when it is none.
std::optional<frame> frame_in(const site_bytes& unit, time_point now);

neighbour_actor::behavior_type make_neighbour(neighbour_state::pointer self, neighbour_options options, node parent,
                                              offered_roles offered);

} // namespace virga
