// The shaper with plain sockets: delay at least as asked, rate at most as asked, order always.
#include "actors/link/shaper.hpp"
#include "tests/support/catch.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <future>
#include <iostream>
#include <thread>

using namespace virga;
using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using clock_type = std::chrono::steady_clock;

namespace {

/// A target that echoes, or swallows and counts; a shaper before it; a client connected through it.
struct shaped {
  explicit shaped(link_shape shape) : before{io, "127.0.0.1", acceptor.local_endpoint().port(), shape} {
    thread = std::thread{[this] { io.run(); }};
    client.connect({boost::asio::ip::address_v4::loopback(), before.port()});
    client.set_option(tcp::no_delay{true});
    acceptor.accept(target);
    target.set_option(tcp::no_delay{true});
  }
  ~shaped() {
    io.stop();
    thread.join();
  }
  void change(shape_change what) {
    std::promise<void> done;
    boost::asio::post(io, [&] {
      before.change(what);
      done.set_value();
    });
    done.get_future().wait();
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
  shaper before;
  std::thread thread;
};

std::string numbered(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<char>(i * 7 + i / 251);
  return out;
}

} // namespace

TEST_CASE("a link's shape is half the round trip each way and bytes a second", "[actors][link][shaper]") {
  auto s = shape_of(20, 0, 8, 80);
  CHECK(s.up.latency == 10ms);
  CHECK(s.down.latency == 10ms);
  CHECK(s.up.bytes_per_s == 1'000'000);
  CHECK(s.down.bytes_per_s == 10'000'000);
}

TEST_CASE("no round trip is shorter than the shaper's delay", "[actors][link][shaper]") {
  shaped r{shape_of(10, 0, 0, 0)};
  std::vector<double> ms;
  for (int i = 0; i < 20; ++i)
    ms.push_back(r.round_trip());
  std::sort(ms.begin(), ms.end());
  CHECK(ms.front() >= 10);
}

TEST_CASE("bytes keep their order and take the time of the rate", "[actors][link][shaper]") {
  shaped r{shape_of(4, 0, 80, 0)};  // 10 MB/s up
  auto sent = numbered(1'000'000);
  auto begun = clock_type::now();
  std::thread writer{[&] { boost::asio::write(r.client, boost::asio::buffer(sent)); }};
  auto got = r.read(r.target, sent.size());
  auto took = clock_type::now() - begun;
  writer.join();
  CHECK(got == sent);
  CHECK(took >= 102ms);
}

TEST_CASE("an end of stream comes after the bytes before it, a broken connection breaks both sides", "[actors][link][shaper]") {
  shaped r{shape_of(10, 0, 0, 0)};
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

TEST_CASE("a direction's rate is what it says", "[actors][link][shaper]") {
  shaped r{shape_of(0, 0, 100, 0)};  // 12.5 MB/s up
  auto sent = numbered(2'500'000);
  auto begun = clock_type::now();
  std::thread writer{[&] { boost::asio::write(r.client, boost::asio::buffer(sent)); }};
  CHECK(r.read(r.target, sent.size()) == sent);
  auto took = clock_type::now() - begun;
  writer.join();
  CHECK(took >= 198ms);
}

TEST_CASE("jitter delays, and keeps the order", "[actors][link][shaper]") {
  shaped r{shape_of(4, 20, 0, 0)};
  auto sent = numbered(20'000);
  std::thread writer{[&] {
    for (std::size_t at = 0; at < sent.size(); at += 1'000) {
      boost::asio::write(r.client, boost::asio::buffer(sent.data() + at, 1'000));
      std::this_thread::sleep_for(1ms);
    }
  }};
  CHECK(r.read(r.target, sent.size()) == sent);
  writer.join();
  std::vector<double> ms;
  for (int i = 0; i < 20; ++i)
    ms.push_back(r.round_trip());
  CHECK(*std::max_element(ms.begin(), ms.end()) - *std::min_element(ms.begin(), ms.end()) > 5);
}

TEST_CASE("a shape may change while bytes are on their way", "[actors][link][shaper]") {
  shaped r{shape_of(0, 0, 0, 0)};
  shape_change slow, back;
  slow.up.latency_ms = 30;
  back.reset = true;
  r.change(slow);
  CHECK(r.round_trip() >= 30);
  r.change(back);
  CHECK(r.round_trip() < 20);
}

TEST_CASE("a stall holds both directions and loses nothing", "[actors][link][shaper]") {
  shaped r{shape_of(0, 0, 0, 0)};
  shape_change stall;
  stall.stall_ms = 150;
  r.change(stall);
  CHECK(r.round_trip() >= 140);
  CHECK(r.round_trip() < 100);
}

TEST_CASE("a partition of one direction holds that one, and new connections", "[actors][link][shaper]") {
  shaped r{shape_of(0, 0, 0, 0)};
  shape_change part, heal;
  part.up.partitioned = true;
  heal.up.partitioned = false;
  r.change(part);
  boost::asio::write(r.target, boost::asio::buffer("down", 4));
  CHECK(r.read(r.client, 4) == "down");
  boost::asio::write(r.client, boost::asio::buffer("up", 2));
  tcp::socket late{r.plain};
  late.connect({boost::asio::ip::address_v4::loopback(), r.before.port()});
  std::this_thread::sleep_for(100ms);
  CHECK(r.target.available() == 0);
  r.acceptor.non_blocking(true);
  boost::system::error_code e;
  tcp::socket second{r.plain};
  r.acceptor.accept(second, e);
  CHECK(e == boost::asio::error::would_block);
  r.change(heal);
  CHECK(r.read(r.target, 2) == "up");
  for (int i = 0; i < 100 && e; ++i) {
    std::this_thread::sleep_for(10ms);
    r.acceptor.accept(second, e);
  }
  CHECK_FALSE(e);
}

TEST_CASE("a cut resets both sides", "[actors][link][shaper]") {
  shaped r{shape_of(0, 0, 0, 0)};
  shape_change cut;
  cut.cut = true;
  r.change(cut);
  char c;
  boost::system::error_code e;
  r.target.read_some(boost::asio::buffer(&c, 1), e);
  CHECK(e == boost::asio::error::connection_reset);
  r.client.read_some(boost::asio::buffer(&c, 1), e);
  CHECK(e == boost::asio::error::connection_reset);
}

TEST_CASE("a cut also ends a connection that does not carry yet", "[actors][link][shaper]") {
  shaped r{shape_of(0, 0, 0, 0)};
  shape_change part, cut;
  part.up.partitioned = true;
  cut.cut = true;
  r.change(part);
  tcp::socket waits{r.plain};
  waits.connect({boost::asio::ip::address_v4::loopback(), r.before.port()});
  std::this_thread::sleep_for(50ms);
  r.change(cut);
  char c;
  boost::system::error_code e;
  waits.read_some(boost::asio::buffer(&c, 1), e);
  CHECK(e == boost::asio::error::connection_reset);
}

TEST_CASE("corruption turns bits over, slicing takes nothing away", "[actors][link][shaper]") {
  shaped r{shape_of(0, 0, 0, 0)};
  auto sent = numbered(100'000);
  shape_change sliced, corrupt;
  sliced.up.slice_bytes = 1'000;
  sliced.up.slice_delay_ms = 0.1;
  r.change(sliced);
  boost::asio::write(r.client, boost::asio::buffer(sent));
  CHECK(r.read(r.target, sent.size()) == sent);
  corrupt.up.flips_per_mb = 100;
  r.change(corrupt);
  boost::asio::write(r.client, boost::asio::buffer(sent));
  auto got = r.read(r.target, sent.size());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < sent.size(); ++i)
    wrong += got[i] != sent[i];
  CHECK(wrong > 0);
  CHECK(wrong < 50);
}

TEST_CASE("how precise the shaper is", "[.bench][shaper]") {
  for (double rtt : {1.0, 10.0, 40.0}) {
    shaped r{shape_of(rtt, 0, 0, 0)};
    std::vector<double> over;
    for (int i = 0; i < 100; ++i)
      over.push_back(r.round_trip() - rtt);
    std::sort(over.begin(), over.end());
    std::cout << "rtt " << rtt << " ms: median +" << over[50] << " ms, 99 % +" << over[98] << " ms\n";
  }
  shaped bare{shape_of(0, 0, 0, 0)};
  std::vector<double> ms;
  for (int i = 0; i < 1000; ++i)
    ms.push_back(bare.round_trip());
  std::sort(ms.begin(), ms.end());
  std::cout << "no delay: median " << ms[500] << " ms\n";
}
