// actors/link/shaper.hpp: gives a real socket the ways of a wide-area link, in user space. It listens on a loopback port; what
// connects there is carried to the target and back, later, slower, or broken, as its shape says at the moment. No root, no tc.
#pragma once

#include "actors/link/shape.hpp"

#include <memory>
#include <string>

namespace boost::asio {
class io_context;
} // namespace boost::asio

namespace virga {

/// Everything is called on the thread that runs `io`, or while none does. Its buffer is bounded; a slow far end stops the
/// reading. An end of stream travels like bytes do; a broken connection is broken on both sides at once.
class shaper {
public:
  /// @param seed of jitter and flipped bits
  /// @throws std::runtime_error when no loopback port can be bound
  shaper(boost::asio::io_context& io, std::string host, std::uint16_t port, link_shape shape, std::uint64_t seed = 1);
  ~shaper();

  /// Connect to 127.0.0.1 at this port.
  std::uint16_t port() const;

  const link_shape& shape() const;
  /// From now on, also for connections that are there.
  void change(const shape_change& what);

private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

} // namespace virga
