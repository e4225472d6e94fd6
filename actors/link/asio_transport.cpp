#include "actors/link/asio_transport.hpp"

#include "actors/link/defaults.hpp"
#include "actors/link/relay.hpp"
#include "actors/link/tls.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <caf/send.hpp>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <deque>
#include <list>
#include <thread>

namespace virga {

namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using asio::ip::tcp;
using error_code = boost::system::error_code;

std::string list(const std::vector<std::string>& names) {
  std::string out;
  for (auto& n : names)
    out += (out.empty() ? "" : ", ") + n;
  return out.empty() ? "nobody" : out;
}

void tune(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay{true}, ignored);
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_NOTSENT_LOWAT>{link_defaults::unsent_bytes}, ignored);
}

// -- one connection ----------------------------------------------------------------------------------------------------

/// A TLS connection that is up. Everything runs on the network's thread.
class connection : public std::enable_shared_from_this<connection> {
public:
  using stream = ssl::stream<tcp::socket>;

  connection(std::uint64_t number, stream s, pipe_events events)
    : number_{number}, stream_{std::move(s)}, linger_{stream_.get_executor()}, events_{std::move(events)} {}

  void start(const std::string& peer_name) {
    caf::anon_send(events_, pipe_up{number_, peer_name});
    read();
  }

  void send(byte_buffer data) {
    if (!open_)
      return;
    waiting_.push_back(std::move(data));
    if (waiting_.size() == 1)
      write();
  }

  /// Tells the link at once; what waits may still leave, what comes is thrown away.
  void close(const std::string& reason) {
    down(reason);
    linger_.expires_after(link_defaults::linger);
    linger_.async_wait([self = shared_from_this()](error_code) { self->kill(); });
    if (waiting_.empty())
      end_stream();
  }

  /// At once and without a word.
  void kill() {
    open_ = false;
    linger_.cancel();
    error_code ignored;
    stream_.lowest_layer().close(ignored);
  }

  std::uint64_t number() const { return number_; }
  bool is_open() const { return open_; }

private:
  void read() {
    stream_.async_read_some(asio::buffer(buffer_), [self = shared_from_this()](error_code e, std::size_t n) {
      if (e)
        return self->lost(e);
      if (self->open_)
        caf::anon_send(self->events_, pipe_bytes{self->number_, {self->buffer_.begin(), self->buffer_.begin() + n}});
      self->read();
    });
  }

  void write() {
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
  void end_stream() {
    error_code ignored;
    stream_.lowest_layer().shutdown(tcp::socket::shutdown_send, ignored);
  }

  void lost(error_code e) {
    auto ended = e == asio::error::eof || e == ssl::error::stream_truncated;
    auto refused = e.category() == asio::error::get_ssl_category();
    down(ended     ? "the peer closed the connection"
         : refused ? "the peer refused this node's certificate: " + e.message()
                   : "the connection broke: " + e.message());
    kill();
  }

  void down(const std::string& reason) {
    if (std::exchange(open_, false))
      caf::anon_send(events_, pipe_down{number_, reason});
  }

  std::uint64_t number_;
  stream stream_;
  asio::steady_timer linger_;
  pipe_events events_;
  bool open_ = true;
  std::array<std::byte, link_defaults::read_bytes> buffer_;
  std::deque<byte_buffer> waiting_;  // the first one is being written
};

// -- one peer ----------------------------------------------------------------------------------------------------------

/// The network's side of one transport: at most one connection at a time. Everything runs on the network's thread.
class peer : public std::enable_shared_from_this<peer> {
public:
  peer(asio::io_context& io, ssl::context& tls, caf::timespan handshake_time, link_config config, pipe_events events)
    : io_{io}, tls_{tls}, handshake_time_{handshake_time}, config_{std::move(config)}, events_{std::move(events)} {}

  void open() {
    if (config_.dial && !ended_)
      std::make_shared<attempt>(*this)->start();
  }

  void send(std::uint64_t number, byte_buffer data) {
    if (current_ && current_->number() == number)
      current_->send(std::move(data));
  }

  void close(std::uint64_t number, const std::string& reason) {
    if (current_ && current_->number() == number)
      std::exchange(current_, nullptr)->close(reason);
  }

  /// A connection that has proved to be from this peer. @returns whether it replaced one that was still open
  bool adopt(connection::stream s, std::uint64_t number = 0) {
    auto replaces = current_ && current_->is_open();
    if (replaces)
      current_->close(config_.peer_node + " connected again");
    current_ = std::make_shared<connection>(number == 0 ? ++numbers_ : number, std::move(s), events_);
    current_->start(config_.peer_node);
    return replaces;
  }

  /// The link is gone.
  void end() {
    ended_ = true;
    if (current_)
      current_->close("this node ends");
    current_.reset();
    relay_.reset();
    events_ = pipe_events{};
  }

  /// The network is gone; nothing runs any more.
  void abandon() {
    if (current_)
      current_->kill();
  }

  bool expects(const std::vector<std::string>& names) const {
    return !ended_ && !config_.dial && proves(names, config_.peer_node, config_.peer_site);
  }

private:
  /// One dial, from the address to a connection that has proved its name, within handshake_time.
  struct attempt : std::enable_shared_from_this<attempt> {
    explicit attempt(peer& p)
      : owner{p.shared_from_this()}, number{++p.numbers_}, resolver{p.io_}, stream{p.io_, p.tls_}, timer{p.io_} {}

    void start() {
      timer.expires_after(owner->handshake_time_);
      timer.async_wait([self = shared_from_this()](error_code e) {
        if (!e)
          self->fail("no connection in time");
      });
      auto [host, port] = owner->address();
      resolver.async_resolve(host, std::to_string(port), [self = shared_from_this()](error_code e, auto found) {
        e ? self->fail("the name cannot be resolved: " + e.message()) : self->connect(*found.begin());
      });
    }
    void connect(const tcp::endpoint& to) {
      stream.next_layer().async_connect(to, [self = shared_from_this()](error_code e) {
        e ? self->fail(e.message()) : self->shake_hands();
      });
    }
    void shake_hands() {
      tune(stream.next_layer());
      stream.async_handshake(ssl::stream_base::client, [self = shared_from_this()](error_code e) {
        e ? self->fail("the TLS handshake failed: " + e.message()) : self->check_name();
      });
    }
    void check_name() {
      auto& c = owner->config_;
      auto names = peer_names(stream.native_handle());
      if (!proves(names, c.peer_node, c.peer_site))
        return fail("its certificate is for " + list(names) + ", the manifest expects " + c.peer_node + " of site "
                    + c.peer_site);
      if (!std::exchange(done, true) && !owner->ended_)
        owner->adopt(std::move(stream), number);
      timer.cancel();
    }
    void fail(const std::string& why) {
      if (std::exchange(done, true))
        return;
      timer.cancel();
      resolver.cancel();
      error_code ignored;
      stream.next_layer().close(ignored);
      auto& c = owner->config_;
      if (!owner->ended_)
        caf::anon_send(owner->events_, pipe_down{number, "cannot reach " + c.peer_node + " at " + c.host + ":"
                                                           + std::to_string(c.port) + ": " + why});
    }

    std::shared_ptr<peer> owner;
    std::uint64_t number;
    tcp::resolver resolver;
    connection::stream stream;
    asio::steady_timer timer;
    bool done = false;
  };

  /// Where to dial: the peer, or the relay before it.
  std::pair<std::string, std::uint16_t> address() {
    auto& c = config_;
    if (c.rtt_ms <= 0 && c.up_mbit <= 0 && c.down_mbit <= 0)
      return {c.host, c.port};
    if (!relay_)
      relay_ = std::make_unique<relay>(io_, c.host, c.port, shape_of(c.rtt_ms, c.up_mbit, c.down_mbit));
    return {"127.0.0.1", relay_->port()};
  }

  asio::io_context& io_;
  ssl::context& tls_;
  caf::timespan handshake_time_;
  link_config config_;
  pipe_events events_;
  bool ended_ = false;
  std::uint64_t numbers_ = 0;
  std::shared_ptr<connection> current_;
  std::unique_ptr<relay> relay_;
};

} // namespace

// -- the network -------------------------------------------------------------------------------------------------------

/// Its handlers hold plain `this`: they live in `io`, which dies with it.
struct network::impl {
  using stream = connection::stream;

  /// Accepted, but who is it?
  struct stranger {
    stranger(asio::io_context& io, ssl::context& tls) : tls_stream{io, tls}, timer{io} {}
    stream tls_stream;
    asio::steady_timer timer;
    std::string address;
  };

  impl(const tls_config& identity, caf::timespan t)
    : tls{make_tls_context(identity)}, handshake_time{t}, guard{io.get_executor()} {}

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
    acceptor.async_accept(s->tls_stream.next_layer(), [this, s](error_code e) {
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
    s->address = s->tls_stream.next_layer().remote_endpoint(e).address().to_string();
    tune(s->tls_stream.next_layer());
    strangers.push_back(s);
    if (strangers.size() > link_defaults::strangers)
      strangers.front()->tls_stream.next_layer().close(e);
    s->timer.expires_after(handshake_time);
    s->timer.async_wait([s](error_code cancelled) {
      error_code ignored;
      if (!cancelled)
        s->tls_stream.next_layer().close(ignored);
    });
    s->tls_stream.async_handshake(ssl::stream_base::server, [this, s](error_code failed) {
      s->timer.cancel();
      strangers.remove(s);
      failed ? turn_away(*s, strays, "no TLS of ours: " + failed.message()) : introduce(*s);
    });
  }

  void introduce(stranger& s) {
    auto names = peer_names(s.tls_stream.native_handle());
    for (auto& p : peers)
      if (auto alive = p.lock(); alive && alive->expects(names)) {
        replaced += alive->adopt(std::move(s.tls_stream));
        return;
      }
    turn_away(s, unknown, "no link of this node expects " + list(names));
  }

  /// One line a second at most: a port scan must not fill the log.
  void turn_away(stranger& s, std::atomic<std::uint64_t>& counter, const std::string& why) {
    ++counter;
    error_code ignored;
    s.tls_stream.next_layer().close(ignored);
    auto now = steady_clock::now();
    if (now - last_line < std::chrono::seconds{1})
      return;
    last_line = now;
    spdlog::warn("connection from {} closed: {} (strays so far: {}, unknown: {})", s.address, why, strays.load(), unknown.load());
  }

  asio::io_context io{1};
  std::unique_ptr<ssl::context> tls;
  caf::timespan handshake_time;
  asio::executor_work_guard<asio::io_context::executor_type> guard;
  tcp::acceptor acceptor{io};
  asio::steady_timer retry{io};
  std::list<std::shared_ptr<stranger>> strangers;
  std::vector<std::weak_ptr<peer>> peers;
  time_point last_line{};
  std::atomic<std::uint64_t> accepted{0}, strays{0}, unknown{0}, replaced{0};
  std::thread thread;
};

namespace {

/// What the link actor holds: passes everything on to the network's thread.
class asio_transport : public transport {
public:
  asio_transport(std::shared_ptr<void> owner, asio::io_context& io, std::shared_ptr<peer> p)
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
  std::shared_ptr<peer> peer_;
};

} // namespace

network::network(const tls_config& identity, caf::timespan handshake_time)
  : impl_{std::make_shared<impl>(identity, handshake_time)} {
  impl_->thread = std::thread{[io = &impl_->io] { io->run(); }};
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
  auto p = std::make_shared<peer>(impl_->io, *impl_->tls, impl_->handshake_time, config, std::move(events));
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
