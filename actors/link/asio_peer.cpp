#include "actors/link/asio_peer.hpp"

#include "actors/link/tls.hpp"

#include <caf/send.hpp>

namespace virga {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;

std::string list_of(const std::vector<std::string>& names) {
  std::string out;
  for (auto& n : names)
    out += (out.empty() ? "" : ", ") + n;
  return out.empty() ? "nobody" : out;
}

// -- one dial ----------------------------------------------------------------------------------------------------------

/// From the address to a connection that has proved its name:
///   resolve -> connect -> TLS handshake -> names -> adopted;  any step may fail, and all together take handshake_time
class tls_peer::attempt : public std::enable_shared_from_this<attempt> {
public:
  explicit attempt(tls_peer& p)
    : owner_{p.shared_from_this()}, number_{++p.numbers_}, resolver_{p.io_}, stream_{std::make_shared<tls_socket>(p.io_, p.tls_)},
      timer_{p.io_} {}

  void start() try {
    timer_.expires_after(owner_->handshake_time_);
    timer_.async_wait([self = shared_from_this()](error_code e) {
      if (!e)
        self->fail("no connection in time");
    });
    auto [host, port] = owner_->address();
    resolver_.async_resolve(host, std::to_string(port), [self = shared_from_this()](error_code e, auto found) {
      e ? self->fail("the name cannot be resolved: " + e.message()) : self->connect(*found.begin());
    });
  } catch (const std::exception& e) {
    fail(e.what());  // no port for the shaper
  }

private:
  void connect(const tcp::endpoint& to) {
    stream_->socket().async_connect(to, [self = shared_from_this()](error_code e) {
      e ? self->fail(e.message()) : self->shake_hands();
    });
  }

  void shake_hands() {
    tune(stream_->socket());
    stream_->async_handshake(tls_socket::side::client, [self = shared_from_this()](const std::string& why) {
      why.empty() ? self->check_names() : self->fail("the TLS handshake failed: " + why);
    });
  }

  void check_names() {
    auto& c = owner_->config_;
    auto names = peer_names(stream_->native_handle());
    if (!proves(names, c.peer_node, c.peer_site))
      return fail("its certificate is for " + list_of(names) + ", the manifest expects " + c.peer_node + " of site "
                  + c.peer_site);
    timer_.cancel();
    if (!std::exchange(done_, true) && !owner_->ended_)
      owner_->adopt(std::move(stream_), number_);
  }

  void fail(const std::string& why) {
    if (std::exchange(done_, true))
      return;
    timer_.cancel();
    resolver_.cancel();
    error_code ignored;
    stream_->socket().close(ignored);
    auto& c = owner_->config_;
    auto where = c.peer_node + " at " + c.host + ":" + std::to_string(c.port);
    if (!owner_->ended_)
      caf::anon_send(owner_->events_, pipe_down{number_, "cannot reach " + where + ": " + why});
  }

  std::shared_ptr<tls_peer> owner_;
  std::uint64_t number_;
  tcp::resolver resolver_;
  std::shared_ptr<tls_socket> stream_;
  asio::steady_timer timer_;
  bool done_ = false;
};

// -- the peer ----------------------------------------------------------------------------------------------------------

tls_peer::tls_peer(asio::io_context& io, asio::ssl::context& tls, caf::timespan handshake_time, link_config config,
                   pipe_events events)
  : io_{io}, tls_{tls}, handshake_time_{handshake_time}, config_{std::move(config)}, events_{std::move(events)} {}

void tls_peer::open() {
  if (config_.dial && !ended_)
    std::make_shared<attempt>(*this)->start();
}

/// Where to dial: the peer, or the shaper before it.
std::pair<std::string, std::uint16_t> tls_peer::address() {
  auto& c = config_;
  if (!c.shaped && c.shape.plain())
    return {c.host, c.port};
  if (!shaper_)
    shaper_ = std::make_unique<shaper>(io_, c.host, c.port, c.shape);
  return {"127.0.0.1", shaper_->port()};
}

std::optional<link_shape> tls_peer::reshape(const shape_change& what) {
  if (!shaper_)
    return {};
  shaper_->change(what);
  return shaper_->shape();
}

void tls_peer::close(std::uint64_t number, const std::string& reason) {
  if (current_ && current_->number() == number)
    std::exchange(current_, nullptr)->close(reason);
}

bool tls_peer::expects(const std::vector<std::string>& names) const {
  return !ended_ && !config_.dial && proves(names, config_.peer_node, config_.peer_site);
}

void tls_peer::adopt(std::shared_ptr<tls_socket> s, std::uint64_t number) {
  if (is_connected())
    current_->close(config_.peer_node + " connected again");
  current_ = std::make_shared<tls_connection>(number == 0 ? ++numbers_ : number, std::move(s), events_);
  current_->start(config_.peer_node);
}

void tls_peer::end() {
  ended_ = true;
  if (current_)
    current_->close("this node ends");
  current_.reset();
  shaper_.reset();
  events_ = pipe_events{};
}

void tls_peer::abandon() {
  if (current_)
    current_->kill();
}

} // namespace virga
