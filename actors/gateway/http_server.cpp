#include "actors/gateway/http_server.hpp"

#include "actors/gateway/api_error.hpp"
#include "actors/gateway/defaults.hpp"
#include "actors/gateway/http_connection.hpp"
#include "actors/gateway/http_text.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <spdlog/spdlog.h>

#include <array>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace virga {

namespace asio = boost::asio;
namespace defaults = gateway_defaults;
using tcp = asio::ip::tcp;
using error_code = boost::system::error_code;

namespace {

std::string text_of(const tcp::endpoint& e) {
  auto host = e.address().to_string();
  return (e.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(e.port());
}

/// One client. Every pending operation keeps it alive.
class tcp_connection : public http_connection {
public:
  tcp_connection(tcp::socket socket, http_handler& handler, std::string client)
      : http_connection(handler, std::move(client)), socket_(std::move(socket)) {
    error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
  }

protected:
  void do_read() override {
    socket_.async_read_some(asio::buffer(bytes_), [this, self = shared_from_this()](error_code e, std::size_t n) {
      if (!e)
        on_bytes({bytes_.data(), n});
      else
        e == asio::error::eof ? on_end() : on_broken();
    });
  }

  void do_write(std::string_view bytes) override {
    asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()),
                      [this, self = shared_from_this()](error_code e, std::size_t) { e ? on_broken() : on_written(); });
  }

  void do_end_writing() override {
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }

  void do_close() override {
    error_code ignored;
    socket_.close(ignored);
  }

  void do_later(std::function<void()> f) override { asio::post(socket_.get_executor(), std::move(f)); }

private:
  tcp::socket socket_;
  std::array<char, 16 * 1024> bytes_;
};

/// Binds the first address of `host`.
tcp::acceptor listen(asio::io_context& io, const std::string& host, std::uint16_t port) {
  auto where = host + ":" + std::to_string(port);
  error_code e;
  tcp::resolver resolver(io);
  auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive, e);
  if (e || found.empty())
    throw std::runtime_error("the gateway cannot listen on " + where + ": the host is not known (" + e.message() + ")");
  auto endpoint = found.begin()->endpoint();
  tcp::acceptor acceptor(io);
  acceptor.open(endpoint.protocol(), e);
  if (!e)
    acceptor.set_option(tcp::acceptor::reuse_address(true), e);
  if (!e)
    acceptor.bind(endpoint, e);
  if (!e)
    acceptor.listen(asio::socket_base::max_listen_connections, e);
  if (e == asio::error::address_in_use)
    throw std::runtime_error("the gateway cannot listen on " + where
                             + ": the port is in use; end the program that has it, or choose another port");
  if (e)
    throw std::runtime_error("the gateway cannot listen on " + where + ": " + e.message());
  return acceptor;
}

} // namespace

struct http_server::impl {
  asio::io_context io{1};
  tcp::acceptor acceptor;
  tcp::endpoint bound;
  asio::steady_timer ticker{io}, drainer{io}, pause{io};
  http_handler* handler = nullptr;
  std::vector<std::shared_ptr<http_connection>> open;
  std::function<void()> drained;  ///< set while draining
  std::thread thread;

  impl(const std::string& host, std::uint16_t port)
      : acceptor(listen(io, host, port)), bound(acceptor.local_endpoint()) {}

  // -- the thread

  void run() {
    auto busy = asio::make_work_guard(io);
    for (;;) {
      try {
        io.run();
        return;
      } catch (const std::exception& e) {
        spdlog::error("the gateway on {} goes on after an error: {}", text_of(bound), e.what());
      }
    }
  }

  void tick() {
    ticker.expires_after(defaults::tick);
    ticker.async_wait([this](error_code e) {
      if (e)
        return;
      tick();
      auto now = steady_clock::now();
      handler->on_tick(now);
      for (auto& c : open)
        c->on_tick(now);
      sweep();
    });
  }

  void sweep() {
    std::erase_if(open, [](auto& c) { return c->is_closed(); });
    if (drained && open.empty())
      std::exchange(drained, nullptr)();
  }

  // -- connections

  void accept() {
    acceptor.async_accept([this](error_code e, tcp::socket socket) {
      if (!acceptor.is_open())
        return;
      if (e) {  // most likely no file descriptor is left: let some come back
        spdlog::warn("the gateway on {} cannot accept: {}", text_of(bound), e.message());
        pause.expires_after(defaults::tick);
        return pause.async_wait([this](error_code) { accept(); });
      }
      welcome(std::move(socket));
      accept();
    });
  }

  void welcome(tcp::socket socket) {
    error_code e;
    auto client = socket.remote_endpoint(e);
    if (e)
      return;
    if (open.size() >= defaults::connections)
      sweep();
    if (open.size() >= defaults::connections)
      return turn_away(std::move(socket));
    auto c = std::make_shared<tcp_connection>(std::move(socket), *handler, text_of(client));
    open.push_back(c);
    c->on_open();
  }

  /// One short write into an empty socket buffer, which takes it at once or not at all.
  void turn_away(tcp::socket socket) {
    auto text = reply_text(
      to_reply(to_api_error({ec::queue_full, 0,
                             "this gateway has " + std::to_string(defaults::connections) + " connections, all it may"})),
      false);
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(text), ignored);
  }

  // -- the end

  void drain(std::function<void()> done) {
    drained = std::move(done);
    error_code ignored;
    acceptor.close(ignored);
    for (auto& c : open)
      c->on_drain();
    drainer.expires_after(defaults::drain_time);
    drainer.async_wait([this](error_code e) {
      if (!e)
        cut();
    });
    sweep();
  }

  void cut() {
    handler->on_cut(steady_clock::now());
    drainer.expires_after(defaults::cut_time);
    drainer.async_wait([this](error_code e) {
      if (e)
        return;
      close_all();
      sweep();
    });
  }

  void close_all() {
    for (auto& c : open)
      c->close();
  }
};

http_server::http_server(const std::string& host, std::uint16_t port) : impl_(std::make_unique<impl>(host, port)) {}

http_server::~http_server() { stop(); }

void http_server::stop() {
  impl_->io.stop();
  if (impl_->thread.joinable())
    impl_->thread.join();
  impl_->close_all();
  impl_->open.clear();
}

std::uint16_t http_server::port() const { return impl_->bound.port(); }
bool http_server::is_loopback() const { return impl_->bound.address().is_loopback(); }

void http_server::start(http_handler& handler) {
  impl_->handler = &handler;
  impl_->tick();
  impl_->accept();
  impl_->thread = std::thread([i = impl_.get()] { i->run(); });
}

void http_server::post(std::function<void()> f) { asio::post(impl_->io, std::move(f)); }

void http_server::drain(std::function<void()> done) {
  post([i = impl_.get(), done = std::move(done)]() mutable { i->drain(std::move(done)); });
}

} // namespace virga
