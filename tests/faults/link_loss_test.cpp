// tests/faults/link_loss_test.cpp: real processes, real sockets, `virga chaos`: the link breaks while an answer crosses it.
#include "tests/support/asking.hpp"
#include "tests/support/catch.hpp"

#include <iostream>

using namespace std::chrono_literals;
using namespace virga;
using namespace virga::testing;

namespace {

struct breakable : running_deployment {
  using running_deployment::running_deployment;

  /// The manifest's shape, with so little room for `cloud`'s pieces that its answer is still under way when it is struck.
  void settle(const std::string& strategy) const {
    chaos("--reset" + std::string(strategy == "cloud" ? " --direction down --mbit 0.1" : ""));
  }
};

} // namespace

TEST_CASE("answers outlive a link that is cut, corrupted, or silent for a while", "[faults]") {
  breakable d{"faults-link", 17475};
  auto& q = d.long_question(0);
  for (std::string strategy : {"cloud", "split"}) {
    auto undisturbed = d.ask("edge-1", strategy, q.prompt);
    REQUIRE(undisturbed.attempts == 1);
    auto strike = [&](const std::string& what, int pieces) {
      INFO(strategy << ": " << what << " after " << pieces << " pieces");
      d.settle(strategy);
      asking a{d, strategy, q};
      REQUIRE(a.await_pieces(pieces));
      d.chaos(what);
      a.wait();
      INFO(a.error);
      REQUIRE(a.result);
      CHECK(a.result->text == undisturbed.text);
      std::cout << strategy << ": " << what << " after " << pieces << " pieces: " << a.result->attempts << " placements"
                << std::endl;
      return a.result->attempts;
    };
    CHECK(strike("--cut", 0) >= 1);  // perhaps before the request is on its way
    CHECK(strike("--cut", 1) > 1);
    CHECK(strike("--cut", 10) > 1);
    CHECK(strike("--stall-ms 700", 5) == 1);
    CHECK(strike("--direction down --latency-ms 60 --jitter-ms 40 --slice-bytes 100 --slice-delay-ms 1", 5) == 1);
  }
}

/// The answer as soon as there is one: a link that looks up may be found dead a moment later, when its silence has lasted.
static std::string text_within(breakable& d, const std::string& strategy, const std::string& prompt, steady::duration limit) {
  for (const auto until = steady::now() + limit; steady::now() < until; std::this_thread::sleep_for(100ms))
    try {
      return d.ask("edge-1", strategy, prompt).text;
    } catch (const std::exception&) {
      // not served yet
    }
  return "";
}

TEST_CASE("a link whose one direction is gone is given up, and found again", "[faults]") {
  breakable d{"faults-half", 17476};
  auto& q = d.long_question(0);
  for (std::string strategy : {"cloud", "split"}) {
    auto undisturbed = d.ask("edge-1", strategy, q.prompt);
    for (std::string direction : {"up", "down"}) {
      INFO(strategy << " without its way " << direction);
      d.settle(strategy);
      asking a{d, strategy, q};
      REQUIRE(a.await_pieces(3));
      auto struck = steady::now();
      d.chaos("--direction " + direction + " --partition on");
      a.wait();
      CHECK(steady::now() - struck < 6s);  // 2.5 s until the silence is noticed, 1.5 s of patience
      if (a.result)  // what `cloud` says needs the way down alone
        CHECK(a.result->text == undisturbed.text);
      CHECK_FALSE(d.ask("edge-1", "edge", q.prompt).text.empty());
      d.chaos("--reset");
      CHECK(text_within(d, strategy, q.prompt, 10s) == undisturbed.text);
    }
  }
}

TEST_CASE("flipped bits end a connection, not an answer", "[faults]") {
  breakable d{"faults-flips", 17477};
  auto& q = d.long_question(0);
  auto undisturbed = d.ask("edge-1", "split", q.prompt);
  asking a{d, "split", q};
  REQUIRE(a.await_pieces(3));
  d.chaos("--flips-per-mb 3000");
  std::this_thread::sleep_for(300ms);
  d.chaos("--reset");
  a.wait();
  INFO(a.error);
  REQUIRE(a.result);
  CHECK(a.result->text == undisturbed.text);
  CHECK(a.result->attempts > 1);
}
