#include "actors/link/asio_connection.hpp"

#include <boost/asio/write.hpp>
#include <caf/send.hpp>
#include <netinet/tcp.h>

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

tls_connection::tls_connection(std::uint64_t number, tls_stream s, pipe_events events)
  : number_{number}, stream_{std::move(s)}, linger_{stream_.get_executor()}, events_{std::move(events)} {}

void tls_connection::start(const std::string& peer_name) {
  caf::anon_send(events_, pipe_up{number_, peer_name});
  read();
}

void tls_connection::send(byte_buffer data) {
  if (!open_)
    return;
  waiting_.push_back(std::move(data));
  if (waiting_.size() == 1)
    write();
}

void tls_connection::close(const std::string& reason) {
  down(reason);
  linger_.expires_after(link_defaults::linger);
  linger_.async_wait([self = shared_from_this()](error_code) { self->kill(); });
  if (waiting_.empty())
    end_stream();
}

void tls_connection::kill() {
  open_ = false;
  linger_.cancel();
  error_code ignored;
  stream_.lowest_layer().close(ignored);
}

void tls_connection::read() {
  stream_.async_read_some(asio::buffer(buffer_), [self = shared_from_this()](error_code e, std::size_t n) {
    if (e)
      return self->lost(e);
    if (self->open_)
      caf::anon_send(self->events_, pipe_bytes{self->number_, {self->buffer_.begin(), self->buffer_.begin() + n}});
    self->read();
  });
}

void tls_connection::write() {
  asio::async_write(stream_, asio::buffer(waiting_.front()), [self = shared_from_this()](error_code e, std::size_t n) {
    if (e)
      return self->lost(e);
    self->waiting_.pop_front();
    if (self->open_)
      caf::anon_send(self->events_, pipe_drained{self->number_, n});
    if (!self->waiting_.empty())
      self->write();
    else if (!self->open_)
      self->end_stream();
  });
}

/// The peer reads up to here and no further; closing at once could take back what it has not read yet.
void tls_connection::end_stream() {
  error_code ignored;
  stream_.lowest_layer().shutdown(tcp::socket::shutdown_send, ignored);
}

void tls_connection::lost(error_code e) {
  auto ended = e == asio::error::eof || e == asio::ssl::error::stream_truncated;
  auto refused = e.category() == asio::error::get_ssl_category();
  down(ended     ? "the peer closed the connection"
       : refused ? "the peer refused this node's certificate: " + e.message()
                 : "the connection broke: " + e.message());
  kill();
}

void tls_connection::down(const std::string& reason) {
  if (std::exchange(open_, false))
    caf::anon_send(events_, pipe_down{number_, reason});
}

} // namespace virga
