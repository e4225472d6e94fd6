// actors/gateway/gateway.hpp: the HTTP front of a node. The actor only passes messages between the node and the HTTP
// thread: answers go there as they come, requests leave from there without another hop.
//
//   client --> http_server --> http_connection --> front --> exchange      HTTP thread
//                                                    | call<generate>  ^ answer
//                                                    v                 |
//                                         SESSION HOST's stub --> GATEWAY actor
#pragma once

#include "actors/interfaces.hpp"
#include "actors/node/config.hpp"
#include "actors/node/node.hpp"

#include <caf/stateful_actor.hpp>

#include <memory>

namespace virga {

/// GATEWAY: see above. On EXIT it takes no more requests, lets running ones end (2 s at most, then cuts them) and ends.
using gateway = sink::extend_with<caf::typed_actor<
  // Asks the node what it serves now.
  caf::reacts_to<tick_atom>,
  // The last answer is written: ends.
  caf::reacts_to<end_atom>>>;

class front;
class http_server;
class port_file;

/// What runs outside the actor; made before it, so that a gateway that cannot start is refused where it is asked for.
struct gateway_parts {
  gateway_config config;
  std::shared_ptr<http_server> server;
  std::shared_ptr<port_file> file;
  node_stubs stubs;
  node home;
  link_reshaper reshape;
};

struct gateway_state {
  explicit gateway_state(gateway::pointer me) : self(me) {}
  ~gateway_state();

  void start(gateway_parts p);
  void pass(answer& a);
  void refresh();
  void drain();

  gateway::pointer self;
  gateway_parts parts;
  std::shared_ptr<front> requests;
  std::uint32_t failures = 0;  ///< of status requests in a row
  bool draining = false;
};

gateway::behavior_type make_gateway(gateway::stateful_pointer<gateway_state> self, gateway_parts parts);

/// Binds the address and spawns the gateway.
/// @param reshape for an admin address's /chaos; it must outlive the gateway's actor system
/// @throws std::runtime_error with one sentence: the port is in use, the host is unknown, or the address can be reached
/// from other machines and no API keys are set
caf::actor start_gateway(caf::actor_system& sys, const gateway_config& config, const node_stubs& stubs, node home,
                         link_reshaper reshape = {});

} // namespace virga
