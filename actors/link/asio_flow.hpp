// actors/link/asio_flow.hpp: one direction of one connection through a shaper: read, wait, write. Private to the shaper.
#pragma once

#include "actors/link/shape.hpp"
#include "messages/types.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <memory>
#include <random>

namespace virga {

/// A direction's shape and until when it stands still; both may change at any time.
struct flow_state {
  flow_shape shape;
  time_point stalled_until{};
  bool passes(time_point now) const { return !shape.partitioned && now >= stalled_until; }
};

class flow : public std::enable_shared_from_this<flow> {
public:
  using tcp = boost::asio::ip::tcp;

  /// @param owner of both sockets
  flow(tcp::socket& from, tcp::socket& to, std::shared_ptr<const flow_state> state, std::shared_ptr<void> owner,
       std::uint64_t seed);

  void start() { read(); }
  /// Its state has changed.
  void look();
  /// Resets both sides.
  void abort();

private:
  struct piece {
    time_point due;
    byte_buffer data;  // empty: end of stream
  };

  void read();
  void take(std::size_t n);
  void read_when_free();
  void write();
  void write_due();
  void written(std::size_t n);
  void flip_bits(byte_buffer& data);
  std::chrono::nanoseconds latency();

  tcp::socket& from_;
  tcp::socket& to_;
  std::shared_ptr<const flow_state> state_;
  std::shared_ptr<void> owner_;
  boost::asio::steady_timer read_timer_, write_timer_;
  std::mt19937_64 random_;
  byte_buffer buffer_;
  std::deque<piece> under_way_;
  std::size_t front_written_ = 0;  // bytes of the first piece
  std::size_t bytes_ = 0;
  bool writing_ = false;   // a write is with the kernel
  bool stopped_ = false;   // reading waits for room
  time_point free_at_{}, last_due_{};
};

} // namespace virga
