// tests/faults/hat_loss_test.cpp: real processes, real sockets: what `hat` does when devices, memory, bandwidth or the cloud are lost
// (HAT, arXiv 2503.18989, says nothing of it; the required behaviour is in docs/systems/hat.md).
#include "tests/support/asking.hpp"
#include "tests/support/catch.hpp"

#include <signal.h>

#include <deque>
#include <iostream>
#include <sstream>

using namespace std::chrono_literals;
using namespace virga;
using namespace virga::testing;

namespace {

/// An answer takes a few round trips: longer ones, so that it is still under way when it is struck.
constexpr auto slowly = "--latency-ms 100";

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

/// Asks until it is answered: a peer that was lost is not back at once.
std::string text_within(const running_deployment& d, const std::string& node, const std::string& prompt, steady::duration limit) {
  for (const auto until = steady::now() + limit; steady::now() < until; std::this_thread::sleep_for(100ms))
    try {
      return d.ask(node, "hat", prompt).text;
    } catch (const std::exception&) {
      // not served yet
    }
  return "";
}

} // namespace

TEST_CASE("a device that dies in a round costs the others nothing, and comes back", "[faults]") {
  running_deployment d{"hat-device", 17481};
  auto& q = d.long_question(0);
  auto undisturbed = d.ask("edge-2", "hat", q.prompt).text;
  for (int round = 0; round < 3; ++round) {
    asking struck{d, "hat", q}, other{d, "hat", q, "edge-2"};
    REQUIRE(struck.await_pieces(1 + 2 * round));
    d.signal("edge-1", SIGKILL);
    struck.wait();
    other.wait();
    CHECK_FALSE(struck.result);
    REQUIRE(other.result);
    CHECK(other.result->text == undisturbed);
    CHECK(other.result->attempts == 1);
    CHECK(text_within(d, "edge-1", q.prompt, 20s) == undisturbed);
  }
}

TEST_CASE("a cloud that dies under hat is replayed to, or its loss is told in time", "[faults]") {
  running_deployment d{"hat-cloud", 17482};
  auto& q = d.long_question(0);
  auto undisturbed = d.ask("edge-1", "hat", q.prompt).text;
  for (int pieces : {0, 1, 4}) {
    INFO("after " << pieces << " pieces");
    d.chaos(slowly);
    asking a{d, "hat", q};
    REQUIRE(a.await_pieces(pieces));
    auto struck = steady::now();
    d.signal("cloud-1", SIGKILL);
    a.wait();
    if (a.result)
      CHECK(a.result->text == undisturbed);
    else
      CHECK_THAT(a.error, Catch::Matchers::Contains("verifier"));
    CHECK(a.ended - struck < 6s);
    d.chaos("--reset");
    CHECK(text_within(d, "edge-1", q.prompt, 20s) == undisturbed);
  }
}

TEST_CASE("a link that breaks, narrows or stalls under hat changes no text", "[faults]") {
  running_deployment d{"hat-link", 17483};
  auto& q = d.long_question(0);
  auto undisturbed = d.ask("edge-1", "hat", q.prompt).text;
  const std::vector<std::pair<std::string, bool>> strikes{
    {"--cut", false},           {"--stall-ms 700", true}, {"--direction up --mbit 1", true}, {"--direction down --mbit 1", true},
    {"--latency-ms 80", true}};
  for (auto& [what, one_placement] : strikes)
    for (int pieces : {0, 1, 4}) {
      INFO(what << " after " << pieces << " pieces");
      d.chaos(slowly);
      asking a{d, "hat", q};
      REQUIRE(a.await_pieces(pieces));
      d.chaos(what);
      a.wait();
      INFO(a.error);
      REQUIRE(a.result);
      CHECK(a.result->text == undisturbed);
      if (one_placement)
        CHECK(a.result->attempts == 1);
      d.chaos("--reset");
    }
}

TEST_CASE("when the cloud's KV memory runs out the oldest answers end first, and all are right", "[faults]") {
  running_deployment d{"hat-memory", 17484, {{"stages: \"1-3\"}", "stages: \"1-3\", kv_mb: 1}"}}};
  std::vector<std::string> undisturbed;
  for (std::size_t i = 0; i < 4; ++i)
    undisturbed.push_back(d.ask("edge-1", "hat", d.long_question(i).prompt).text);
  std::deque<asking> all;
  for (std::size_t i = 0; i < 4; ++i)
    all.emplace_back(d, "hat", d.long_question(i), i % 2 == 0 ? "edge-1" : "edge-2");
  for (std::size_t i = 0; i < 4; ++i) {
    all[i].wait();
    INFO(all[i].error);
    REQUIRE(all[i].result);
    CHECK(all[i].result->text == undisturbed[i]);
  }
}

TEST_CASE("in a long outage hat ends with an error, or goes on with drafts that are marked", "[faults]") {
  for (bool unverified : {false, true}) {
    const running_deployment::change on{"serves: hat}", "serves: hat, draft: {outage: unverified}}"};
    running_deployment d{"hat-outage", 17485, unverified ? std::vector{on} : std::vector<running_deployment::change>{}};
    auto& q = d.long_question(0);
    auto undisturbed = d.ask("edge-1", "hat", q.prompt);
    CHECK(undisturbed.unverified_tokens == 0);
    d.chaos(slowly);
    asking a{d, "hat", q};
    REQUIRE(a.await_pieces(3));
    d.chaos("--partition on");
    a.wait();
    if (!unverified) {
      CHECK_FALSE(a.result);
      CHECK_THAT(a.error, Catch::Matchers::Contains("verifier"));
    } else {
      INFO(a.error);
      REQUIRE(a.result);
      auto said = words(a.result->text), right = words(undisturbed.text);
      REQUIRE(a.result->unverified_tokens > 0);
      REQUIRE(a.result->tokens > a.result->unverified_tokens);
      const auto sure = static_cast<std::ptrdiff_t>(a.result->tokens - a.result->unverified_tokens);  // a token is a word here
      REQUIRE(static_cast<std::ptrdiff_t>(std::min(said.size(), right.size())) >= sure);
      CHECK(std::equal(said.begin(), said.begin() + sure, right.begin()));
      std::cout << sure << " tokens of the whole model, " << a.result->unverified_tokens << " of drafts alone" << std::endl;
    }
    d.chaos("--reset");
    auto again = text_within(d, "edge-1", q.prompt, 20s);
    CHECK(again == undisturbed.text);
  }
}
