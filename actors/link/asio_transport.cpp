#include "actors/link/asio_transport.hpp"

#include "actors/link/asio_peer.hpp"
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
    stranger(asio::io_context& io, asio::ssl::context& tls) : stream{io, tls}, timer{io} {}
    tls_stream stream;
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
    acceptor.async_accept(s->stream.next_layer(), [this, s](error_code e) {
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
    s->address = s->stream.next_layer().remote_endpoint(e).address().to_string();
    tune(s->stream.next_layer());
    strangers.push_back(s);
    if (strangers.size() > link_defaults::strangers)
      strangers.front()->stream.next_layer().close(e);
    s->timer.expires_after(handshake_time);
    s->timer.async_wait([s](error_code cancelled) {
      error_code ignored;
      if (!cancelled)
        s->stream.next_layer().close(ignored);
    });
    s->stream.async_handshake(asio::ssl::stream_base::server, [this, s](error_code failed) {
      s->timer.cancel();
      strangers.remove(s);
      failed ? turn_away(*s, strays, "no TLS of ours: " + failed.message()) : introduce(*s);
    });
  }

  void introduce(stranger& s) {
    auto names = peer_names(s.stream.native_handle());
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
    s.stream.next_layer().close(ignored);
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
  std::thread thread;
};

namespace {

/// What the link actor holds: passes everything on to the network's thread.
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

  void send(std::uint64_t number, byte_buffer data) override {
    asio::post(io_, [p = peer_, number, d = std::move(data)]() mutable { p->send(number, std::move(d)); });
  }

  void close(std::uint64_t number, const std::string& reason) override {
    asio::post(io_, [p = peer_, number, reason] { p->close(number, reason); });
  }

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

network_counters network::counters() const {
  return {impl_->accepted, impl_->strays, impl_->unknown, impl_->replaced};
}

} // namespace virga
