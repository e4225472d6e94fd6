#include "deploy/bench/raw_pair.hpp"

#include "actors/link/tls.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include <functional>
#include <stdexcept>
#include <thread>

namespace virga::deploy {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;
using clock = std::chrono::steady_clock;

constexpr std::size_t chunk_bytes = 64 * 1024;  // of reads and writes; other sizes were no faster

double seconds_since(clock::time_point t) { return std::chrono::duration<double>(clock::now() - t).count(); }

/// What one order to the far end says: take `copy` bytes and answer with one, or (0) echo messages of `echo` bytes.
struct order {
  std::uint64_t copy = 0, echo = 0;
};

} // namespace

/// One end's work on either kind of stream.
template <class Stream>
struct raw_end {
  explicit raw_end(Stream s) : stream{std::move(s)} {}

  // The far end: orders until the connection ends.
  void serve() {
    asio::async_read(stream, asio::buffer(&asked, sizeof asked), [this](error_code e, std::size_t) {
      if (e)
        return;
      left = asked.copy;
      asked.copy > 0 ? take() : echo();
    });
  }
  void take() {
    stream.async_read_some(asio::buffer(buffer.data(), std::min<std::uint64_t>(left, buffer.size())), [this](error_code e, std::size_t n) {
      if (e)
        return;
      left -= n;
      if (left > 0)
        return take();
      asio::write(stream, asio::buffer("!", 1), e);
      serve();
    });
  }
  void echo() {
    asio::async_read(stream, asio::buffer(buffer.data(), asked.echo), [this](error_code e, std::size_t n) {
      if (e)
        return;
      if (buffer[0] != 0)  // the last of them
        return serve();
      asio::async_write(stream, asio::buffer(buffer.data(), n), [this](error_code failed, std::size_t) {
        if (!failed)
          echo();
      });
    });
  }

  // The near end.
  void give(std::uint64_t bytes) {
    if (bytes == 0)
      return;
    auto size = std::min<std::uint64_t>(bytes, buffer.size());
    asio::async_write(stream, asio::buffer(buffer.data(), size), [this, bytes, size](error_code e, std::size_t) {
      if (!e)
        give(bytes - size);
    });
  }
  void ask(std::size_t count, std::size_t bytes, std::vector<double>& us) {
    if (us.size() == count)
      return;
    auto begun = clock::now();
    asio::async_write(stream, asio::buffer(buffer.data(), bytes), [this, count, bytes, &us, begun](error_code, std::size_t) {
      asio::async_read(stream, asio::buffer(buffer.data(), bytes), [this, count, bytes, &us, begun](error_code e, std::size_t) {
        if (e)
          throw std::runtime_error("the raw echo broke: " + e.message());
        us.push_back(seconds_since(begun) * 1e6);
        ask(count, bytes, us);
      });
    });
  }

  Stream stream;
  std::vector<char> buffer = std::vector<char>(chunk_bytes);
  order asked;
  std::uint64_t left = 0;
};

struct raw_pair::impl {
  using tls = asio::ssl::stream<tcp::socket>;

  template <class Run>
  void with_near(Run run) {
    near_tls ? run(*near_tls) : run(*near_tcp);
  }

  asio::io_context far_io{1}, near_io{1};
  tcp::acceptor acceptor{far_io, {asio::ip::address_v4::loopback(), 0}};
  std::unique_ptr<asio::ssl::context> far_context, near_context;
  std::unique_ptr<raw_end<tls>> far_tls, near_tls;
  std::unique_ptr<raw_end<tcp::socket>> far_tcp, near_tcp;
  std::thread far;
};

raw_pair::raw_pair(const tls_config* server, const tls_config* client) : impl_{std::make_unique<impl>()} {
  if (server && client) {
    impl_->far_context = make_tls_context(*server);
    impl_->near_context = make_tls_context(*client);
  }
}

raw_pair::~raw_pair() {
  impl_->far_io.stop();
  if (impl_->far.joinable())
    impl_->far.join();
}

std::uint16_t raw_pair::listen_port() const { return impl_->acceptor.local_endpoint().port(); }

void raw_pair::connect(std::uint16_t port) {
  auto& i = *impl_;
  tcp::socket near{i.near_io}, far{i.far_io};
  near.connect({asio::ip::address_v4::loopback(), port});
  i.acceptor.accept(far);
  near.set_option(tcp::no_delay{true});
  far.set_option(tcp::no_delay{true});
  if (i.far_context) {
    i.far_tls = std::make_unique<raw_end<impl::tls>>(impl::tls{std::move(far), *i.far_context});
    i.near_tls = std::make_unique<raw_end<impl::tls>>(impl::tls{std::move(near), *i.near_context});
    i.far = std::thread{[&i] {
      i.far_tls->stream.handshake(asio::ssl::stream_base::server);
      i.far_tls->serve();
      i.far_io.run();
    }};
    i.near_tls->stream.handshake(asio::ssl::stream_base::client);
  } else {
    i.far_tcp = std::make_unique<raw_end<tcp::socket>>(std::move(far));
    i.near_tcp = std::make_unique<raw_end<tcp::socket>>(std::move(near));
    i.far = std::thread{[&i] {
      i.far_tcp->serve();
      i.far_io.run();
    }};
  }
}

double raw_pair::copy(std::uint64_t bytes) {
  double took = 0;
  impl_->with_near([&](auto& end) {
    order o{bytes, 0};
    asio::write(end.stream, asio::buffer(&o, sizeof o));
    auto begun = clock::now();
    end.give(bytes);
    impl_->near_io.restart();
    impl_->near_io.run();
    char done;
    asio::read(end.stream, asio::buffer(&done, 1));
    took = seconds_since(begun);
  });
  return took;
}

std::vector<double> raw_pair::echo(std::size_t count, std::size_t bytes) {
  std::vector<double> us;
  impl_->with_near([&](auto& end) {
    order o{0, bytes};
    asio::write(end.stream, asio::buffer(&o, sizeof o));
    end.buffer[0] = 0;
    end.ask(count, bytes, us);
    impl_->near_io.restart();
    impl_->near_io.run();
    end.buffer[0] = 1;
    asio::write(end.stream, asio::buffer(end.buffer.data(), bytes));
    end.buffer[0] = 0;
  });
  return us;
}

} // namespace virga::deploy
