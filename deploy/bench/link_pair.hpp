// deploy/bench/link_pair.hpp: two links as two nodes have them, an edge that dials and a cloud that accepts: a network and an
// actor system each. The cloud's role sends small rows back, and of large ones only the word that they are there.
#pragma once

#include "actors/link/asio_transport.hpp"
#include "actors/link/link.hpp"
#include "deploy/bench/mailbox.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <memory>

namespace virga::deploy {

/// The two ends that every pair has: the cloud that accepts, and the edge that dials it at this loopback port.
link_config accepting_end();
link_config dialing_end(std::uint16_t port);

class link_pair {
public:
  link_pair(const tls_config& cloud, const tls_config& edge);
  ~link_pair();

  std::uint16_t listen_port() const { return port_; }
  /// @param port listen_port(), or that of a shaper before it
  void connect(std::uint16_t port);

  /// Sends `count` messages of so many bytes, all at once, and waits until the role has them all.
  /// @returns seconds; @throws std::runtime_error when what came is not what was sent
  double send(std::size_t count, std::size_t bytes_each);
  /// Begins one such message and does not wait; stop() takes the rest of it back.
  void begin(std::size_t bytes);
  void stop();

  /// Microseconds of each round trip of one row of `bytes` from role to role: stub, link, link, stub and back.
  std::vector<double> echo(std::size_t count, std::size_t bytes);

  /// What the edge's link measures now.
  peer_state state();

private:
  struct config : caf::actor_system_config {
    config();
  };
  header next(std::uint64_t session);

  config cfg_;
  std::unique_ptr<network> cloud_net_, edge_net_;
  caf::actor_system cloud_sys_{cfg_}, edge_sys_{cfg_};
  std::shared_ptr<mailbox<answer>> answers_ = std::make_shared<mailbox<answer>>();
  std::shared_ptr<mailbox<peer_state>> peers_ = std::make_shared<mailbox<peer_state>>();
  std::shared_ptr<mailbox<tensor>> taken_ = std::make_shared<mailbox<tensor>>();
  std::uint16_t port_ = 0;
  std::uint32_t unit_ = 0;
  stub_of<verifier> stub_;
  sink asker_;
  link_actor cloud_, edge_;
  std::vector<caf::actor> others_;
};

} // namespace virga::deploy
