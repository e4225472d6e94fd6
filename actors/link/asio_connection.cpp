#include "actors/link/asio_connection.hpp"

#include <caf/send.hpp>
#include <netinet/tcp.h>

#include <array>
#include <utility>

namespace virga {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;

void tune(tcp::socket& socket) {
  using unsent_limit = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_NOTSENT_LOWAT>;
  error_code ignored;
  socket.set_option(tcp::no_delay{true}, ignored);
  socket.set_option(unsent_limit{link_defaults::unsent_bytes}, ignored);
}

tls_connection::tls_connection(std::uint64_t number, std::shared_ptr<tls_socket> s, pipe_events events)
  : number_{number}, socket_{std::move(s)}, linger_{socket_->socket().get_executor()}, events_{std::move(events)} {}

void tls_connection::start(const std::string& peer_name) {
  caf::anon_send(events_, pipe_up{number_, peer_name});
  caf::anon_send(events_, pipe_ready{number_});
}

std::size_t tls_connection::write(std::span<const std::byte> bytes) {
  auto taken = open_ ? socket_->write(bytes) : 0;
  if (open_ && taken < bytes.size())
    look();
  return taken;
}

void tls_connection::flush() {
  if (open_ && !socket_->flush())
    look();
}

std::size_t tls_connection::read(std::span<std::byte> room) {
  if (!open_ || awaits_read_)
    return 0;
  auto bytes = socket_->read(room);
  if (bytes > 0)
    return bytes;
  if (socket_->current() == tls_socket::state::blocked)
    await(tcp::socket::wait_read, awaits_read_);
  else
    lost();
  return 0;
}

/// Why the socket did not take all.
void tls_connection::look() {
  if (socket_->current() != tls_socket::state::blocked)
    return lost();
  await(tcp::socket::wait_write, awaits_write_);
}

/// Tells the link when the socket is ready; a closed connection sends the rest and throws away what comes.
void tls_connection::await(tcp::socket::wait_type what, bool& waiting) {
  if (std::exchange(waiting, true))
    return;
  socket_->socket().async_wait(what, [self = shared_from_this(), &waiting](error_code e) {
    waiting = false;
    if (e)
      return;
    if (self->open_)
      caf::anon_send(self->events_, pipe_ready{self->number_});
    else
      self->end_stream();
  });
}

void tls_connection::close(const std::string& reason) {
  down(reason);
  linger_.expires_after(link_defaults::linger);
  linger_.async_wait([self = shared_from_this()](error_code) { self->kill(); });
  end_stream();
}

void tls_connection::kill() {
  open_ = false;
  linger_.cancel();
  error_code ignored;
  socket_->socket().close(ignored);
}

/// The peer reads up to here and no further; closing at once could take back what it has not read yet.
void tls_connection::end_stream() {
  if (!socket_->socket().is_open())
    return;
  error_code ignored;
  if (socket_->flush())
    socket_->socket().shutdown(tcp::socket::shutdown_send, ignored);
  else if (socket_->current() == tls_socket::state::blocked)
    await(tcp::socket::wait_write, awaits_write_);
  std::array<std::byte, 4096> rest;
  while (socket_->read(rest) > 0) {
  }
  if (socket_->current() == tls_socket::state::blocked)
    await(tcp::socket::wait_read, awaits_read_);
  else
    kill();
}

void tls_connection::lost() {
  auto ended = socket_->current() == tls_socket::state::ended;
  auto& e = socket_->error();
  auto refused = e.find("alert") != std::string::npos;
  down(ended     ? "the peer closed the connection"
       : refused ? "the peer refused this node's certificate: " + e
                 : "the connection broke: " + e);
  kill();
}

void tls_connection::down(const std::string& reason) {
  if (std::exchange(open_, false))
    caf::anon_send(events_, pipe_down{number_, reason});
}

} // namespace virga
