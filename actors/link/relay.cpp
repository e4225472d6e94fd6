#include "actors/link/relay.hpp"

#include "actors/link/defaults.hpp"
#include "messages/types.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <deque>
#include <stdexcept>
#include <utility>
#include <vector>

namespace virga {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;
using std::chrono::nanoseconds;

/// What a flow may leave in the kernel when it is slow: there it would delay what is urgent and nobody sees it.
int kernel_bytes(std::uint64_t rate) { return static_cast<int>(std::clamp<std::uint64_t>(rate / 200, 16 * 1024, 256 * 1024)); }

/// One direction of one connection: read, wait, write.
class flow : public std::enable_shared_from_this<flow> {
public:
  flow(tcp::socket& from, tcp::socket& to, nanoseconds delay, std::uint64_t rate, std::shared_ptr<void> owner)
    : from_{from}, to_{to}, delay_{delay}, rate_{rate}, owner_{std::move(owner)}, read_timer_{from.get_executor()},
      write_timer_{from.get_executor()} {
    auto bytes = rate * static_cast<std::uint64_t>(link_defaults::relay_piece_time.count()) / 1'000'000;
    buffer_.resize(rate == 0 ? link_defaults::read_bytes : std::clamp<std::uint64_t>(bytes, 512, link_defaults::read_bytes));
  }

  void read() {
    from_.async_read_some(asio::buffer(buffer_), [self = shared_from_this()](error_code e, std::size_t n) {
      if (e && e != asio::error::eof)
        return self->abort();
      self->take(n);
    });
  }

  void abort() {
    error_code ignored;
    from_.close(ignored);
    to_.close(ignored);
    read_timer_.cancel();
    write_timer_.cancel();
  }

private:
  struct piece {
    time_point due;
    byte_buffer data;  // empty: end of stream
  };

  /// A piece occupies the line for its size over the rate, then travels for the delay.
  void take(std::size_t n) {
    auto now = steady_clock::now();
    free_at_ = std::max(free_at_, now);
    if (rate_ != 0)
      free_at_ += nanoseconds{static_cast<std::int64_t>(n * 1'000'000'000 / rate_)};
    under_way_.push_back({free_at_ + delay_, {buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(n)}});
    bytes_ += n;
    if (!writing_)
      write();
    if (n != 0)
      read_when_free();
  }

  void read_when_free() {
    if (bytes_ >= link_defaults::relay_buffer_bytes) {
      stopped_ = true;
      return;
    }
    if (rate_ == 0)
      return read();
    read_timer_.expires_at(free_at_);
    read_timer_.async_wait([self = shared_from_this()](error_code e) {
      if (!e)
        self->read();
    });
  }

  void write() {
    writing_ = !under_way_.empty();
    if (!writing_)
      return;
    write_timer_.expires_at(under_way_.front().due);
    write_timer_.async_wait([self = shared_from_this()](error_code e) {
      if (!e)
        self->write_due();
    });
  }

  void write_due() {
    auto& data = under_way_.front().data;
    if (data.empty()) {
      error_code ignored;
      to_.shutdown(tcp::socket::shutdown_send, ignored);
      return;
    }
    asio::async_write(to_, asio::buffer(data), [self = shared_from_this()](error_code e, std::size_t n) {
      if (e)
        return self->abort();
      self->written(n);
    });
  }

  void written(std::size_t n) {
    bytes_ -= n;
    under_way_.pop_front();
    if (std::exchange(stopped_, false))
      read_when_free();
    write();
  }

  tcp::socket& from_;
  tcp::socket& to_;
  nanoseconds delay_;
  std::uint64_t rate_;
  std::shared_ptr<void> owner_;  // of the sockets
  asio::steady_timer read_timer_, write_timer_;
  byte_buffer buffer_;
  std::deque<piece> under_way_;
  std::size_t bytes_ = 0;
  bool writing_ = false;
  bool stopped_ = false;
  time_point free_at_{};
};

struct sockets {
  explicit sockets(asio::io_context& io) : client{io}, target{io}, resolver{io} {}
  tcp::socket client, target;
  tcp::resolver resolver;
};

} // namespace

struct relay::impl : std::enable_shared_from_this<impl> {
  impl(asio::io_context& context, std::string h, std::uint16_t p, link_shape s)
    : io{context}, acceptor{context}, host{std::move(h)}, port{p}, shape{s} {}

  void listen() try {
    tcp::endpoint any{asio::ip::address_v4::loopback(), 0};
    acceptor.open(any.protocol());
    if (shape.up_bytes_per_s != 0)
      acceptor.set_option(tcp::socket::receive_buffer_size{kernel_bytes(shape.up_bytes_per_s)});
    acceptor.bind(any);
    acceptor.listen();
  } catch (const boost::system::system_error& e) {
    throw std::runtime_error("the relay to " + host + " cannot listen on loopback: " + e.code().message());
  }

  void accept() {
    auto s = std::make_shared<sockets>(io);
    acceptor.async_accept(s->client, [self = shared_from_this(), s](error_code e) {
      if (e == asio::error::operation_aborted)
        return;
      if (!e)
        self->connect(s);
      self->accept();
    });
  }

  void connect(const std::shared_ptr<sockets>& s) {
    auto resolved = [self = shared_from_this(), s](error_code e, tcp::resolver::results_type found) {
      if (!e)
        self->dial(s, *found.begin());
    };
    s->resolver.async_resolve(host, std::to_string(port), resolved);
  }

  void dial(const std::shared_ptr<sockets>& s, const tcp::endpoint& to) {
    error_code ignored;
    s->target.open(to.protocol(), ignored);
    if (shape.down_bytes_per_s != 0)
      s->target.set_option(tcp::socket::receive_buffer_size{kernel_bytes(shape.down_bytes_per_s)}, ignored);
    s->target.async_connect(to, [self = shared_from_this(), s](error_code e) {
      if (e)
        return; // both sockets close: the client sees it as a connection that ends
      s->client.set_option(tcp::no_delay{true}, e);
      s->target.set_option(tcp::no_delay{true}, e);
      self->carry(s);
    });
  }

  void carry(const std::shared_ptr<sockets>& s) {
    auto up = std::make_shared<flow>(s->client, s->target, shape.delay_up, shape.up_bytes_per_s, s);
    auto down = std::make_shared<flow>(s->target, s->client, shape.delay_down, shape.down_bytes_per_s, s);
    up->read();
    down->read();
    std::erase_if(flows, [](auto& f) { return f.expired(); });
    flows.insert(flows.end(), {up, down});
  }

  void stop() {
    error_code ignored;
    acceptor.close(ignored);
    for (auto& f : flows)
      if (auto alive = f.lock())
        alive->abort();
  }

  asio::io_context& io;
  tcp::acceptor acceptor;
  std::string host;
  std::uint16_t port;
  link_shape shape;
  std::vector<std::weak_ptr<flow>> flows;
};

link_shape shape_of(double rtt_ms, double up_mbit, double down_mbit) {
  nanoseconds half{static_cast<std::int64_t>(rtt_ms * 500'000)};
  return {half, half, static_cast<std::uint64_t>(up_mbit * 125'000), static_cast<std::uint64_t>(down_mbit * 125'000)};
}

relay::relay(asio::io_context& io, std::string host, std::uint16_t port, link_shape shape)
  : impl_{std::make_shared<impl>(io, std::move(host), port, shape)} {
  impl_->listen();
  impl_->accept();
}

relay::~relay() { impl_->stop(); }

std::uint16_t relay::port() const { return impl_->acceptor.local_endpoint().port(); }

} // namespace virga
