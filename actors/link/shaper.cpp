#include "actors/link/shaper.hpp"

#include "actors/link/asio_flow.hpp"
#include "actors/link/defaults.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace virga {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;

/// What a flow may leave in the kernel when it is slow: there it would delay what is urgent and nobody sees it.
int kernel_bytes(std::uint64_t rate) { return static_cast<int>(std::clamp<std::uint64_t>(rate / 200, 16 * 1024, 256 * 1024)); }

struct sockets {
  explicit sockets(asio::io_context& io) : client{io}, target{io}, resolver{io}, timer{io} {}
  /// Both ends see a reset, as a broken path is noticed.
  void reset() {
    error_code ignored;
    for (auto* s : {&client, &target}) {
      s->set_option(asio::socket_base::linger{true, 0}, ignored);
      s->close(ignored);
    }
    resolver.cancel();
    timer.cancel();
  }
  tcp::socket client, target;
  tcp::resolver resolver;
  asio::steady_timer timer;
};

} // namespace

struct shaper::impl : std::enable_shared_from_this<impl> {
  impl(asio::io_context& context, std::string h, std::uint16_t p, link_shape s, std::uint64_t seed)
    : io{context}, acceptor{context}, host{std::move(h)}, port{p}, original{s}, shape{s}, random{seed} {
    show();
  }

  void listen() try {
    tcp::endpoint any{asio::ip::address_v4::loopback(), 0};
    acceptor.open(any.protocol());
    if (shape.up.bytes_per_s != 0)
      acceptor.set_option(tcp::socket::receive_buffer_size{kernel_bytes(shape.up.bytes_per_s)});
    acceptor.bind(any);
    acceptor.listen();
  } catch (const boost::system::system_error& e) {
    throw std::runtime_error("the shaper before " + host + " cannot listen on loopback: " + e.code().message());
  }

  void accept() {
    auto s = std::make_shared<sockets>(io);
    acceptor.async_accept(s->client, [self = shared_from_this(), s](error_code e) {
      if (e == asio::error::operation_aborted)
        return;
      if (!e) {
        std::erase_if(self->connections, [](auto& c) { return c.expired(); });
        self->connections.push_back(s);
        self->connect(s);
      }
      self->accept();
    });
  }

  /// While one direction does not pass, no connection comes through: it waits, as its dialer does.
  void connect(const std::shared_ptr<sockets>& s) {
    auto now = steady_clock::now();
    if (!up->passes(now) || !down->passes(now)) {
      s->timer.expires_after(link_defaults::shaper_look_time);
      s->timer.async_wait([self = shared_from_this(), s](error_code e) {
        if (!e && s->client.is_open())
          self->connect(s);
      });
      return;
    }
    s->resolver.async_resolve(host, std::to_string(port),
                              [self = shared_from_this(), s](error_code e, tcp::resolver::results_type found) {
      if (!e && s->client.is_open())
        self->dial(s, *found.begin());
    });
  }

  void dial(const std::shared_ptr<sockets>& s, const tcp::endpoint& to) {
    error_code ignored;
    s->target.open(to.protocol(), ignored);
    if (shape.down.bytes_per_s != 0)
      s->target.set_option(tcp::socket::receive_buffer_size{kernel_bytes(shape.down.bytes_per_s)}, ignored);
    s->target.async_connect(to, [self = shared_from_this(), s](error_code e) {
      if (e || !s->client.is_open())
        return; // both sockets close: the client sees it as a connection that ends
      s->client.set_option(tcp::no_delay{true}, e);
      s->target.set_option(tcp::no_delay{true}, e);
      self->carry(s);
    });
  }

  void carry(const std::shared_ptr<sockets>& s) {
    auto there = std::make_shared<flow>(s->client, s->target, up, s, random());
    auto back = std::make_shared<flow>(s->target, s->client, down, s, random());
    there->start();
    back->start();
    std::erase_if(flows, [](auto& f) { return f.expired(); });
    flows.insert(flows.end(), {there, back});
  }

  template <class T, class What>
  static void each(const std::vector<std::weak_ptr<T>>& of, What what) {
    for (auto& f : of)
      if (auto alive = f.lock())
        what(*alive);
  }

  /// Also of connections that do not carry yet: a cut leaves none behind.
  void cut() {
    each(flows, [](flow& f) { f.abort(); });
    each(connections, [](sockets& s) { s.reset(); });
  }

  void show() {
    up->shape = shape.up;
    down->shape = shape.down;
  }

  void change(const shape_change& what) {
    if (what.reset) {
      shape = original;
      up->stalled_until = down->stalled_until = {};
    }
    apply(what.up, shape.up);
    apply(what.down, shape.down);
    if (what.stall_ms > 0)
      up->stalled_until = down->stalled_until =
        steady_clock::now() + std::chrono::nanoseconds{static_cast<std::int64_t>(what.stall_ms * 1e6)};
    show();
    if (what.cut)
      return cut();
    each(flows, [](flow& f) { f.look(); });
  }

  void stop() {
    error_code ignored;
    acceptor.close(ignored);
    cut();
  }

  asio::io_context& io;
  tcp::acceptor acceptor;
  std::string host;
  std::uint16_t port;
  link_shape original, shape;
  std::shared_ptr<flow_state> up = std::make_shared<flow_state>(), down = std::make_shared<flow_state>();
  std::mt19937_64 random;
  std::vector<std::weak_ptr<sockets>> connections;
  std::vector<std::weak_ptr<flow>> flows;
};

shaper::shaper(asio::io_context& io, std::string host, std::uint16_t port, link_shape shape, std::uint64_t seed)
  : impl_{std::make_shared<impl>(io, std::move(host), port, shape, seed)} {
  impl_->listen();
  impl_->accept();
}

shaper::~shaper() { impl_->stop(); }

std::uint16_t shaper::port() const { return impl_->acceptor.local_endpoint().port(); }
const link_shape& shaper::shape() const { return impl_->shape; }
void shaper::change(const shape_change& what) { impl_->change(what); }

} // namespace virga
