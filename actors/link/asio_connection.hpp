// actors/link/asio_connection.hpp: one TLS connection that is up. Private to the asio_*.cpp files.
#pragma once

#include "actors/link/defaults.hpp"
#include "actors/link/transport.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <deque>
#include <memory>

namespace virga {

using tls_stream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket>;

/// No waiting for more to send, and little unsent in the kernel.
void tune(boost::asio::ip::tcp::socket& socket);

/// Reads and writes until one side closes; tells its link. Everything runs on the network's thread.
class tls_connection : public std::enable_shared_from_this<tls_connection> {
public:
  tls_connection(std::uint64_t number, tls_stream s, pipe_events events);

  /// Tells the link that it is up, and begins to read.
  void start(const std::string& peer_name);

  /// In order. Ignored once it is closed.
  void send(byte_buffer data);

  /// Tells the link at once; what waits may still leave, what comes is thrown away.
  void close(const std::string& reason);

  /// At once and without a word.
  void kill();

  std::uint64_t number() const { return number_; }
  bool is_open() const { return open_; }

private:
  void read();
  void write();
  void end_stream();
  void lost(boost::system::error_code e);
  void down(const std::string& reason);

  std::uint64_t number_;
  tls_stream stream_;
  boost::asio::steady_timer linger_;
  pipe_events events_;
  bool open_ = true;
  std::array<std::byte, link_defaults::read_bytes> buffer_;
  std::deque<byte_buffer> waiting_;  // the first one is being written
};

} // namespace virga
