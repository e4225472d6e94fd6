// actors/link/asio_transport.hpp: transports over TCP and TLS 1.3 with certificates on both sides. One thread serves all
// connections of a node.
#pragma once

#include "actors/link/defaults.hpp"
#include "actors/link/shape.hpp"
#include "actors/link/transport.hpp"
#include "actors/node/config.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace virga {

/// What the listener and the dials of a node have seen.
struct network_counters {
  std::uint64_t accepted = 0;  ///< TCP connections
  std::uint64_t strays = 0;    ///< of these: no TLS, no certificate of ours, or too slow
  std::uint64_t unknown = 0;   ///< proved a name that no link expects
  std::uint64_t replaced = 0;  ///< a peer connected again while its old connection was still open
};

/// The sockets of one node. Fail closed: without a complete and fitting identity there is no network.
class network {
public:
  /// @param handshake_time from a TCP connection to a proved name at most; then it is closed
  /// @throws bad_identity naming the file and the cure
  explicit network(const tls_config& identity, caf::timespan handshake_time = link_defaults::handshake_time);

  /// Closes everything and joins the thread.
  ~network();

  network(const network&) = delete;
  network& operator=(const network&) = delete;

  /// Accepts peers on this address from now on; port 0 means any. A connection is given to the transport that expects
  /// the node and site named in its certificate; all others are closed.
  /// @returns the port bound
  /// @throws std::runtime_error naming the address when it cannot be bound
  std::uint16_t listen(const std::string& host, std::uint16_t port);

  /// Where the links of `system` run, so that they may hold this network's transports. The network must outlive them.
  caf::execution_unit* host(caf::actor_system& system);

  /// The pipe to one peer, for an actor that runs on host(). A dialing one goes through a shaper when the link has one.
  /// The network must
  /// outlive it.
  std::unique_ptr<transport> make_transport(const link_config& peer, pipe_events events);

  /// Changes the shaper of the link to this peer, and calls `done` on the network's thread with the shape it has then;
  /// nothing when this node does not dial that peer through a shaper.
  void reshape(const std::string& peer_node, const shape_change& what, std::function<void(std::optional<link_shape>)> done);

  network_counters counters() const;

private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

} // namespace virga
