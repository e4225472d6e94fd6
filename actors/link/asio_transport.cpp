#include "actors/link/asio_transport.hpp"

#include "actors/link/asio_peer.hpp"
#include "actors/link/asio_unit.hpp"
#include "actors/link/tls.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include <atomic>
#include <list>
#include <thread>

namespace virga {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;

/// The listener and the thread. Its handlers hold plain `this`: they live in `io`, which dies with it.
struct network::impl {
  /// Accepted, but who is it?
  struct stranger {
    stranger(asio::io_context& io, asio::ssl::context& tls) : stream{std::make_shared<tls_socket>(io, tls)}, timer{io} {}
    std::shared_ptr<tls_socket> stream;
    asio::steady_timer timer;
    std::string address;
  };

  impl(const tls_config& identity, caf::timespan t)
    : tls{make_tls_context(identity)}, handshake_time{t}, guard{io.get_executor()} {}

  /// What one connection throws (no memory, mostly) must not end the others.
  void run() {
    for (;;)
      try {
        io.run();
        return;
      } catch (const std::exception& e) {
        spdlog::error("the network's thread goes on after: {}", e.what());
      }
  }

  void listen(const std::string& host, std::uint16_t port) {
    tcp::resolver resolver{io};
    auto at = *resolver.resolve(host, std::to_string(port)).begin();
    acceptor.open(at.endpoint().protocol());
    acceptor.set_option(tcp::acceptor::reuse_address{true});
    acceptor.bind(at);
    acceptor.listen();
  }

  void accept() {
    auto s = std::make_shared<stranger>(io, *tls);
    acceptor.async_accept(s->stream->socket(), [this, s](error_code e) {
      if (e == asio::error::operation_aborted)
        return;
      if (e)
        return pause();  // out of file descriptors, most likely
      meet(s);
      accept();
    });
  }

  void pause() {
    retry.expires_after(std::chrono::milliseconds{100});
    retry.async_wait([this](error_code e) {
      if (!e)
        accept();
    });
  }

  void meet(const std::shared_ptr<stranger>& s) {
    ++accepted;
    error_code e;
    s->address = s->stream->socket().remote_endpoint(e).address().to_string();
    tune(s->stream->socket());
    strangers.push_back(s);
    if (strangers.size() > link_defaults::strangers)
      strangers.front()->stream->socket().close(e);
    s->timer.expires_after(handshake_time);
    s->timer.async_wait([s](error_code cancelled) {
      error_code ignored;
      if (!cancelled)
        s->stream->socket().close(ignored);
    });
    s->stream->async_handshake(tls_socket::side::server, [this, s](const std::string& why) {
      s->timer.cancel();
      strangers.remove(s);
      why.empty() ? introduce(*s) : turn_away(*s, strays, "no TLS of ours: " + why);
    });
  }

  void introduce(stranger& s) {
    auto names = peer_names(s.stream->native_handle());
    for (auto& p : peers)
      if (auto alive = p.lock(); alive && alive->expects(names)) {
        replaced += alive->is_connected();
        return alive->adopt(std::move(s.stream));
      }
    turn_away(s, unknown, "no link of this node expects " + list_of(names));
  }

  /// One line a second at most: a port scan must not fill the log.
  void turn_away(stranger& s, std::atomic<std::uint64_t>& counter, const std::string& why) {
    ++counter;
    error_code ignored;
    s.stream->socket().close(ignored);
    auto now = steady_clock::now();
    if (now - last_line < std::chrono::seconds{1})
      return;
    last_line = now;
    spdlog::warn("connection from {} closed: {} (strays so far: {}, unknown: {})", s.address, why, strays.load(), unknown.load());
  }

  asio::io_context io{1};
  std::unique_ptr<asio::ssl::context> tls;
  caf::timespan handshake_time;
  asio::executor_work_guard<asio::io_context::executor_type> guard;
  tcp::acceptor acceptor{io};
  asio::steady_timer retry{io};
  std::list<std::shared_ptr<stranger>> strangers;
  std::vector<std::weak_ptr<tls_peer>> peers;
  time_point last_line{};
  std::atomic<std::uint64_t> accepted{0}, strays{0}, unknown{0}, replaced{0};
  std::unique_ptr<io_unit> unit;
  std::thread thread;
};

namespace {

/// What the link actor holds. It runs on the network's thread, so these are plain calls.
class asio_transport : public transport {
public:
  asio_transport(std::shared_ptr<void> owner, asio::io_context& io, std::shared_ptr<tls_peer> p)
    : owner_{std::move(owner)}, io_{io}, peer_{std::move(p)} {}

  ~asio_transport() override {
    asio::post(io_, [p = peer_] { p->end(); });
  }

  void open() override {
    asio::post(io_, [p = peer_] { p->open(); });
  }

  std::size_t write(std::uint64_t number, std::span<const std::byte> bytes) override {
    auto c = peer_->connection(number);
    return c ? c->write(bytes) : 0;
  }

  void flush(std::uint64_t number) override {
    if (auto c = peer_->connection(number))
      c->flush();
  }

  std::size_t read(std::uint64_t number, std::span<std::byte> room) override {
    auto c = peer_->connection(number);
    return c ? c->read(room) : 0;
  }

  void close(std::uint64_t number, const std::string& reason) override { peer_->close(number, reason); }

private:
  std::shared_ptr<void> owner_;  // of io_
  asio::io_context& io_;
  std::shared_ptr<tls_peer> peer_;
};

} // namespace

network::network(const tls_config& identity, caf::timespan handshake_time)
  : impl_{std::make_shared<impl>(identity, handshake_time)} {
  impl_->thread = std::thread{[i = impl_.get()] { i->run(); }};
}

network::~network() {
  impl_->io.stop();
  impl_->thread.join();
  if (impl_->unit)
    impl_->unit->close();
  error_code ignored;
  impl_->acceptor.close(ignored);
  for (auto& p : impl_->peers)
    if (auto alive = p.lock())
      alive->abandon();
}

std::uint16_t network::listen(const std::string& host, std::uint16_t port) try {
  impl_->listen(host, port);
  asio::post(impl_->io, [i = impl_.get()] { i->accept(); });
  return impl_->acceptor.local_endpoint().port();
} catch (const boost::system::system_error& e) {
  throw std::runtime_error("cannot listen on " + host + ":" + std::to_string(port) + ": " + e.code().message());
}

std::unique_ptr<transport> network::make_transport(const link_config& config, pipe_events events) {
  auto p = std::make_shared<tls_peer>(impl_->io, *impl_->tls, impl_->handshake_time, config, std::move(events));
  asio::post(impl_->io, [i = impl_.get(), p] {
    std::erase_if(i->peers, [](auto& old) { return old.expired(); });
    i->peers.push_back(p);
  });
  return std::make_unique<asio_transport>(impl_, impl_->io, std::move(p));
}

caf::execution_unit* network::host(caf::actor_system& system) {
  if (!impl_->unit)
    impl_->unit = std::make_unique<io_unit>(system, impl_->io);
  return impl_->unit.get();
}

void network::reshape(const std::string& peer_node, const shape_change& what,
                      std::function<void(std::optional<link_shape>)> done) {
  asio::post(impl_->io, [i = impl_.get(), peer_node, what, done = std::move(done)] {
    std::optional<link_shape> shape;
    for (auto& p : i->peers)
      if (auto alive = p.lock(); alive && alive->config().peer_node == peer_node && !shape)
        shape = alive->reshape(what);
    done(shape);
  });
}

network_counters network::counters() const {
  return {impl_->accepted, impl_->strays, impl_->unknown, impl_->replaced};
}

} // namespace virga
