// actors/link/relay.hpp: gives a real socket the delay and rate of a wide-area link, in user space. It listens on a
// loopback port; what connects there is carried to the target and back, later and slower. No root, no tc.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
} // namespace boost::asio

namespace virga {

struct link_shape {
  std::chrono::nanoseconds delay_up{};    ///< one way, towards the target
  std::chrono::nanoseconds delay_down{};
  std::uint64_t up_bytes_per_s = 0;       ///< 0: unlimited
  std::uint64_t down_bytes_per_s = 0;
};

/// Half of the round trip each way; 1 Mbit is 125,000 bytes.
link_shape shape_of(double rtt_ms, double up_mbit, double down_mbit);

/// Bytes keep their order and arrive no earlier than the delay says. Its buffer is bounded; a slow far end stops the
/// reading. An end of stream travels like bytes do; a broken connection is broken on both sides at once.
class relay {
public:
  /// Runs on `io`, which must outlive it; made and destroyed on the thread that runs `io`, or while none does.
  /// @throws std::runtime_error when no loopback port can be bound
  relay(boost::asio::io_context& io, std::string host, std::uint16_t port, link_shape shape);
  ~relay();

  /// Connect to 127.0.0.1 at this port.
  std::uint16_t port() const;

private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

} // namespace virga
