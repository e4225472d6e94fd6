// deploy/bench/raw_pair.hpp: what links are compared with: two ends of one connection as Asio itself gives them, TLS 1.3 or
// plain TCP, each end with a thread of its own.
#pragma once

#include "actors/node/config.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace virga::deploy {

class raw_pair {
public:
  /// @param server, client identities for TLS; both null: plain TCP
  raw_pair(const tls_config* server, const tls_config* client);
  ~raw_pair();

  std::uint16_t listen_port() const;
  /// @param port listen_port(), or that of a shaper before it
  void connect(std::uint16_t port);

  /// Seconds that so many bytes take, from the first write until the far end's word that it has them all.
  double copy(std::uint64_t bytes);

  /// Microseconds of each round trip of a message of this size.
  std::vector<double> echo(std::size_t count, std::size_t bytes);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace virga::deploy
