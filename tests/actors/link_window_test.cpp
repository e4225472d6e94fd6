// The send window on a pipe of known rate and delay: what it measures, what it lets pass, how long others wait.
#include "actors/link/send_window.hpp"
#include "tests/support/catch.hpp"

#include <deque>

using namespace virga;
using namespace std::chrono_literals;
using std::chrono::microseconds;
using std::chrono::nanoseconds;

namespace {

/// A line with a queue before it, a far end that gives credit for each unit, and a sender that has bulk without end.
struct line {
  line(std::uint64_t bytes_per_s, nanoseconds round_trip) : rate{bytes_per_s}, rtt{round_trip} {}

  /// How long what is sent now waits before the line takes it.
  nanoseconds queue() const { return std::max<nanoseconds>(free - now, 0ns); }

  void send(std::uint64_t bytes, priority urgency) {
    window.sent(bytes, urgency, now);
    free = std::max(free, now) + nanoseconds{static_cast<std::int64_t>(bytes * 1'000'000'000 / rate)};
    back.push_back({free + rtt, {bytes, urgency == priority::bulk ? bytes : 0, us(free + rtt / 2)}, false});
  }
  void ping() {
    window.ping_sent();
    back.push_back({std::max(free, now) + rtt, {}, true, now});
  }
  void send_what_may() {
    while (window.open_for(now) == priority::bulk) {
      sent += window.slice_bytes();
      send(window.slice_bytes(), priority::bulk);
    }
    longest = std::max(longest, queue());
  }
  /// Bulk for so long, with a heartbeat each 0.5 s.
  void run(nanoseconds time) {
    for (auto end = now + time; now < end;) {
      send_what_may();
      auto next = std::min({end, next_ping, window.paced_until()});
      if (!back.empty())
        next = std::min(next, back.front().at);
      now = std::max(now, next);
      while (!back.empty() && back.front().at <= now) {
        auto e = back.front();
        back.pop_front();
        e.pong ? window.round_trip(now - e.pinged, now) : window.credited(e.granted);
      }
      if (now >= next_ping || window.wants_ping()) {
        next_ping = now + 500ms;
        ping();
      }
    }
  }

  struct event {
    time_point at;
    credit granted;
    bool pong = false;
    time_point pinged{};
  };
  static std::uint64_t us(time_point t) {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<microseconds>(t.time_since_epoch()).count());
  }

  std::uint64_t rate;
  nanoseconds rtt;
  send_window window;
  time_point now{1h}, free{}, next_ping{1h};
  std::deque<event> back;  // in the order of arrival
  std::uint64_t sent = 0;
  nanoseconds longest{};
};

} // namespace

TEST_CASE("the window finds rate and round trip, keeps the line busy and the queue short", "[actors][link]") {
  auto rate = GENERATE(as<std::uint64_t>{}, 125'000, 1'250'000, 12'500'000, 125'000'000, 1'250'000'000);
  auto rtt = GENERATE(as<nanoseconds>{}, 200us, 2ms, 20ms, 50ms, 200ms);
  if (rate * static_cast<std::uint64_t>(rtt.count()) / 1'000'000'000 > link_defaults::window_bytes / 2)
    return;
  CAPTURE(rate, rtt.count());
  line l{rate, rtt};
  l.ping();
  l.run(2s + 20 * rtt);  // it has found its window
  l.sent = 0;
  l.longest = 0ns;
  l.run(40s);
  CHECK(l.window.rate() == Approx(rate).epsilon(0.1));
  CHECK(l.window.base() >= rtt);
  CHECK(l.window.base() < rtt + rtt / 4 + 35ms * 125'000 / rate + 1ms);
  CHECK(static_cast<double>(l.sent) > 0.9 * 40 * static_cast<double>(rate));
  if (rate > 12'500'000 || rtt > 50ms)
    return;  // a larger round trip is a longer time in which the pace is a guess; a higher rate is beyond timers
  auto slice = std::clamp<std::uint64_t>(rate / 100, 4096, 256 * 1024);  // of design.md, section 5
  CHECK(static_cast<double>(l.longest.count()) * 1e-9 * static_cast<double>(rate) <= 1.05 * static_cast<double>(slice));
}

TEST_CASE("16 MB over 100 Mbit/s and 50 ms take little longer than their bytes, also the first time", "[actors][link]") {
  line l{12'500'000, 50ms};
  l.ping();
  auto begun = l.now;
  while (l.sent < 16'000'000)
    l.run(1ms);
  auto took = std::chrono::duration<double>(std::max(l.free, l.now) - begun + 25ms).count();
  CHECK(took < 1.1 * 16.0 / 12.5);
}

TEST_CASE("a line that becomes faster or slower is followed", "[actors][link]") {
  line l{1'250'000, 20ms};
  l.ping();
  l.run(3s);
  l.rate = 12'500'000;
  l.run(3s);
  CHECK(l.window.rate() == Approx(12'500'000).epsilon(0.1));
  l.rate = 250'000;
  l.run(3s);
  CHECK(l.window.rate() == Approx(250'000).epsilon(0.1));
  l.longest = 0ns;
  l.run(1s);
  CHECK(l.longest < 25ms);
}

TEST_CASE("a slow asker does not make the link look slow", "[actors][link]") {
  line l{12'500'000, 20ms};
  l.ping();
  l.run(2s);
  auto known = l.window.rate();
  for (int i = 0; i < 500; ++i) {  // a token each 10 ms
    l.window.ran_dry();
    l.send(200, priority::decode);
    for (auto end = l.now + 10ms; l.now < end; l.now += 1ms)
      while (!l.back.empty() && l.back.front().at <= l.now) {
        auto e = l.back.front();
        l.back.pop_front();
        e.pong ? l.window.round_trip(l.now - e.pinged, l.now) : l.window.credited(e.granted);
      }
  }
  CHECK(l.window.rate() > known / 10 * 9);
}

TEST_CASE("decoding is held only by what a peer can be made to hold", "[actors][link]") {
  line l{125'000, 20ms};
  for (int i = 0; i < 100; ++i)
    l.send(1'000, priority::decode);
  CHECK(l.window.open_for(l.now) != priority::control);
  l.send(link_defaults::window_bytes, priority::decode);
  CHECK(l.window.open_for(l.now) == priority::control);
  l.window.credited({~std::uint64_t{0}, ~std::uint64_t{0}, 1});  // more than there is
  CHECK(l.window.under_way() == 0);
  CHECK(l.window.open_for(l.now) == priority::bulk);
}

TEST_CASE("a peer's clock may jump as far as it likes", "[actors][link]") {
  line l{12'500'000, 20ms};
  for (std::uint64_t clock : {std::uint64_t{1}, ~std::uint64_t{0}, std::uint64_t{0}, ~std::uint64_t{0} / 2}) {
    l.send(1'000, priority::decode);
    l.send(1'000, priority::decode);
    l.window.credited({1'000, 0, clock});
  }
  CHECK(l.window.rate() < 12'500'000);
  CHECK(l.window.open_for(l.now) != priority::control);
}

TEST_CASE("what is known of a link outlives a connection, what was under way does not", "[actors][link]") {
  line l{12'500'000, 20ms};
  l.ping();
  l.run(2s);
  auto rate = l.window.rate();
  l.window.connection_lost();
  CHECK(l.window.under_way() == 0);
  CHECK(l.window.rate() == rate);
  CHECK(l.window.open_for(l.now) == priority::bulk);
}
