// actors/link/asio_connection.hpp: one TLS connection that is up. Private to the asio_*.cpp files.
#pragma once

#include "actors/link/defaults.hpp"
#include "actors/link/asio_tls_socket.hpp"
#include "actors/link/transport.hpp"

#include <boost/asio/steady_timer.hpp>

#include <memory>

namespace virga {

/// No waiting for more to send, and little unsent in the kernel.
void tune(boost::asio::ip::tcp::socket& socket);

/// Carries bytes until one side closes; tells its link. Everything runs on the network's thread.
class tls_connection : public std::enable_shared_from_this<tls_connection> {
public:
  tls_connection(std::uint64_t number, std::shared_ptr<tls_socket> s, pipe_events events);

  /// Tells the link that it is up.
  void start(const std::string& peer_name);

  // As in transport. Nothing happens once it is closed.
  std::size_t write(std::span<const std::byte> bytes);
  void flush();
  std::size_t read(std::span<std::byte> room);

  /// Tells the link at once; what waits may still leave, what comes is thrown away.
  void close(const std::string& reason);

  /// At once and without a word.
  void kill();

  std::uint64_t number() const { return number_; }
  bool is_open() const { return open_; }

private:
  void await(boost::asio::ip::tcp::socket::wait_type what, bool& waiting);
  void look();
  void lost();
  void down(const std::string& reason);
  void end_stream();

  std::uint64_t number_;
  std::shared_ptr<tls_socket> socket_;
  boost::asio::steady_timer linger_;
  pipe_events events_;
  bool open_ = true;
  bool awaits_read_ = false, awaits_write_ = false;
};

} // namespace virga
