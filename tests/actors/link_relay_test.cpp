// The relay with plain sockets: delay at least as asked, rate at most as asked, order always.
#include "actors/link/relay.hpp"
#include "tests/support/catch.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <iostream>
#include <thread>

using namespace virga;
using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using clock_type = std::chrono::steady_clock;

namespace {

/// A target that echoes, or swallows and counts; a relay before it; a client connected through the relay.
struct relayed {
  explicit relayed(link_shape shape) : before{io, "127.0.0.1", acceptor.local_endpoint().port(), shape} {
    thread = std::thread{[this] { io.run(); }};
    client.connect({boost::asio::ip::address_v4::loopback(), before.port()});
    client.set_option(tcp::no_delay{true});
    acceptor.accept(target);
    target.set_option(tcp::no_delay{true});
  }
  ~relayed() {
    io.stop();
    thread.join();
  }
  static std::string read(tcp::socket& s, std::size_t size) {
    std::string out(size, '\0');
    boost::asio::read(s, boost::asio::buffer(out));
    return out;
  }
  /// Milliseconds from here to there and back.
  double round_trip() {
    auto begun = clock_type::now();
    boost::asio::write(client, boost::asio::buffer("x", 1));
    read(target, 1);
    boost::asio::write(target, boost::asio::buffer("y", 1));
    read(client, 1);
    return std::chrono::duration<double, std::milli>(clock_type::now() - begun).count();
  }

  boost::asio::io_context io, plain;
  tcp::acceptor acceptor{plain, {boost::asio::ip::address_v4::loopback(), 0}};
  tcp::socket client{plain}, target{plain};
  relay before;
  std::thread thread;
};

std::string numbered(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<char>(i * 7 + i / 251);
  return out;
}

} // namespace

TEST_CASE("a link's shape is half the round trip each way and bytes a second", "[actors][link][relay]") {
  auto s = shape_of(20, 8, 80);
  CHECK(s.delay_up == 10ms);
  CHECK(s.delay_down == 10ms);
  CHECK(s.up_bytes_per_s == 1'000'000);
  CHECK(s.down_bytes_per_s == 10'000'000);
}

TEST_CASE("no round trip is shorter than the relay's delay", "[actors][link][relay]") {
  relayed r{shape_of(10, 0, 0)};
  std::vector<double> ms;
  for (int i = 0; i < 20; ++i)
    ms.push_back(r.round_trip());
  std::sort(ms.begin(), ms.end());
  CHECK(ms.front() >= 10);
  CHECK(ms[10] < 15);
}

TEST_CASE("bytes keep their order and take the time of the rate", "[actors][link][relay]") {
  relayed r{shape_of(4, 80, 0)};  // 10 MB/s up
  auto sent = numbered(1'000'000);
  auto begun = clock_type::now();
  std::thread writer{[&] { boost::asio::write(r.client, boost::asio::buffer(sent)); }};
  auto got = r.read(r.target, sent.size());
  auto took = clock_type::now() - begun;
  writer.join();
  CHECK(got == sent);
  CHECK(took >= 102ms);
  CHECK(took < 200ms);
}

TEST_CASE("an end of stream comes after the bytes before it, a broken connection breaks both sides", "[actors][link][relay]") {
  relayed r{shape_of(10, 0, 0)};
  boost::asio::write(r.client, boost::asio::buffer("bye", 3));
  r.client.shutdown(tcp::socket::shutdown_send);
  CHECK(r.read(r.target, 3) == "bye");
  char c;
  boost::system::error_code e;
  CHECK(r.target.read_some(boost::asio::buffer(&c, 1), e) == 0);
  CHECK(e == boost::asio::error::eof);
  boost::asio::write(r.target, boost::asio::buffer("ok", 2));  // the other direction still works
  CHECK(r.read(r.client, 2) == "ok");
}

TEST_CASE("how precise the relay is", "[.bench][relay]") {
  for (double rtt : {1.0, 10.0, 40.0}) {
    relayed r{shape_of(rtt, 0, 0)};
    std::vector<double> over;
    for (int i = 0; i < 100; ++i)
      over.push_back(r.round_trip() - rtt);
    std::sort(over.begin(), over.end());
    std::cout << "rtt " << rtt << " ms: median +" << over[50] << " ms, 99 % +" << over[98] << " ms\n";
  }
  relayed bare{shape_of(0, 0, 0)};
  std::vector<double> ms;
  for (int i = 0; i < 1000; ++i)
    ms.push_back(bare.round_trip());
  std::sort(ms.begin(), ms.end());
  std::cout << "no delay: median " << ms[500] << " ms\n";
}
