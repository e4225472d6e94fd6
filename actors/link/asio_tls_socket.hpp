// actors/link/asio_tls_socket.hpp: TLS over one TCP socket, without waiting. Asio's own stream encrypts a record, sends it, and
// comes back; here many records make one call of the kernel in either direction. Private to the asio_*.cpp files.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string>

struct ssl_st;

namespace virga {

class tls_socket : public std::enable_shared_from_this<tls_socket> {
public:
  using tcp = boost::asio::ip::tcp;
  enum class state { fine, blocked, ended, broken };
  enum class side { client, server };

  /// @throws std::bad_alloc
  tls_socket(boost::asio::io_context& io, boost::asio::ssl::context& tls);

  /// The TCP socket: to be connected first; whoever waits for it to become ready waits here.
  tcp::socket& socket() { return socket_; }

  /// Calls `done` once: with an empty sentence when both sides have proved who they are, else (also when socket() is closed
  /// meanwhile) with why not.
  void async_handshake(side s, std::function<void(std::string)> done);

  /// Takes what there is room for. @returns bytes taken; the rest when state() is blocked and the socket has room again
  std::size_t write(std::span<const std::byte> bytes);
  /// @returns whether all that was taken is with the kernel; else state() says why not
  bool flush();
  /// @returns bytes received; with none, state() says why
  std::size_t read(std::span<std::byte> room);

  state current() const noexcept { return state_; }
  const std::string& error() const noexcept { return error_; }  ///< when broken
  ssl_st* native_handle() const { return ssl_.get(); }

private:
  void shake_hands();
  void wait(tcp::socket::wait_type what);
  state fail();

  tcp::socket socket_;
  std::unique_ptr<ssl_st, void (*)(ssl_st*)> ssl_;
  std::function<void(std::string)> done_;
  std::size_t flushed_ = 0;  // of what is encrypted and waits
  state state_ = state::fine;
  std::string error_;
};

} // namespace virga
