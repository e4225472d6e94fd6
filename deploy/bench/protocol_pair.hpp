// deploy/bench/protocol_pair.hpp: the link alone: two link protocols over two networks, without roles and stubs. Each end is
// an actor on its network's thread, as a LINK is.
#pragma once

#include "actors/link/asio_transport.hpp"
#include "deploy/bench/mailbox.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <memory>
#include <thread>
#include <vector>

namespace virga::deploy {

class protocol_pair {
public:
  protocol_pair(const tls_config& cloud, const tls_config& edge);
  ~protocol_pair();

  /// Microseconds of each round trip of one row of `bytes`, from frame to frame.
  std::vector<double> echo(std::size_t count, std::size_t bytes);

private:
  caf::actor_system_config cfg_;
  std::unique_ptr<network> cloud_net_, edge_net_;
  caf::actor_system cloud_sys_{cfg_}, edge_sys_{cfg_};
  std::shared_ptr<mailbox<std::vector<double>>> done_ = std::make_shared<mailbox<std::vector<double>>>();
  caf::actor cloud_, edge_;
};

} // namespace virga::deploy
