// actors/session/session_host.hpp: owns this site's sessions and bounds them.
#pragma once

#include "actors/node/config.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <map>

namespace virga {

/// Who answers a strategy on this node, and the model as its sessions see it.
struct strategy_source {
  strategy how = strategy::cloud;
  token_source source;  ///< a stub
  model_view view;
  token_source alone{};  ///< a stub; goes on without the cloud, with a weaker model; invalid: nobody does
};

/// Strategies whose sessions live elsewhere, and the session host there.
struct relayed_strategies {
  std::vector<strategy> hows;
  session_host peer;  ///< a stub
  bool across_link = true;  ///< false: on other nodes of the site
};

struct session_host_options {
  session_config config;
  std::string node;
  std::vector<strategy_source> sources;
  relayed_strategies relayed{};
};

/// SESSION: owns one request. Only it emits tokens: in order, each once; then one outcome. See session.hpp.
using session = caf::typed_actor<
  // Tokens, outcome or failure of the placement it waits for; all others are dropped.
  caf::reacts_to<answer>,
  // Place the request (again).
  caf::reacts_to<begin_atom>,
  // The deadline has passed.
  caf::reacts_to<tick_atom>,
  // The client went away.
  caf::reacts_to<call<cancel>>,
  // The asker lost its way here and asks again: it gets what it has not got, and what comes. The former way is closed with
  // ec::stale_epoch.
  caf::reacts_to<call<generate>>>;

/// What the host has beside the role's interface; its NODE uses it.
using session_host_actor = session_host::extend_with<caf::typed_actor<
  // Refuse new requests with ec::shutting_down; the running ones go on.
  caf::reacts_to<drain_atom>,
  // How many sessions are running.
  caf::replies_to<stats_atom>::with<std::uint64_t>>>;

struct session_host_state {
  explicit session_host_state(session_host_actor::pointer self);
  ~session_host_state();  ///< its sessions end with it

  void accept(call<generate>& request);
  void resume(call<generate>& request);
  void begin_session(call<generate>& request);
  session spawn_for(call<generate>& request);
  void stop(call<cancel>& request);
  void forget(const caf::down_msg& down);

  session_host_actor::pointer self;
  session_host_options options;
  bool draining = false;
  struct running {
    session actor;
    header hdr;
    sink reply;
    std::string from;  ///< whose it is: nobody else can take it over or end it
  };
  std::map<session_id, running> sessions;
  std::map<caf::actor_addr, session_id> by_address;
};

session_host_actor::behavior_type make_session_host(session_host_actor::stateful_pointer<session_host_state> self,
                                                    session_host_options options);

} // namespace virga
