// tests/faults/cloud_loss_test.cpp: real processes, real sockets: the cloud is killed and frozen while `split` answers.
#include "tests/support/catch.hpp"
#include "tests/support/asking.hpp"

#include <signal.h>

#include <iostream>

using namespace std::chrono_literals;
using namespace virga;
using namespace virga::testing;

namespace {

/// A link is dead after 2.5 s without a byte (the manifest's default); a client hears within 3 s of that.
constexpr auto notice = 2500ms, patience = 3000ms;

/// What the client of a struck request may see: the whole right text, or one clear sentence in time.
void check_struck(asking& a, const std::string& text, steady::time_point struck, std::chrono::milliseconds limit) {
  a.wait();
  if (a.result) {
    std::cout << "the answer was finished in " << a.result->attempts << " placements" << std::endl;
    CHECK(a.result->text == text);
    CHECK(a.result->attempts > 1);
    return;
  }
  std::cout << "the client was told: " << a.error << std::endl;
  CHECK_THAT(a.error, Catch::Matchers::Contains("verifier"));  // what is missing
  CHECK(a.ended - struck < limit);
}

void check_edge_alone(const running_deployment& d) {
  auto before = steady::now();
  auto r = d.ask("edge-1", "edge", d.long_question(1).prompt);
  CHECK_FALSE(r.text.empty());
  CHECK(steady::now() - before < 2s);
}

} // namespace

TEST_CASE("the cloud is killed while split answers and comes back without touching the edge", "[faults]") {
  running_deployment d{"faults-kill", 17471};
  auto& q = d.long_question(0);
  auto undisturbed = d.ask("edge-1", "split", q.prompt);
  CHECK(undisturbed.attempts == 1);
  auto edge = d.process_of("edge-1").pid;

  asking a{d, "split", q};
  REQUIRE(a.await_pieces(5));
  auto cloud = d.process_of("cloud-1").pid;
  auto struck = steady::now();
  d.signal("cloud-1", SIGKILL);
  check_edge_alone(d);
  check_struck(a, undisturbed.text, struck, patience);

  REQUIRE(d.await("edge-1", "split", true, 20s));
  CHECK(d.ask("edge-1", "split", q.prompt).text == undisturbed.text);
  CHECK(d.process_of("cloud-1").pid != cloud);
  CHECK(d.process_of("edge-1").pid == edge);
}

TEST_CASE("the cloud freezes while split answers and thaws without touching the edge", "[faults]") {
  running_deployment d{"faults-stop", 17472};
  auto& q = d.long_question(0);
  auto undisturbed = d.ask("edge-1", "split", q.prompt);
  auto edge = d.process_of("edge-1").pid;

  asking a{d, "split", q};
  REQUIRE(a.await_pieces(5));
  auto struck = steady::now();
  d.signal("cloud-1", SIGSTOP);
  REQUIRE(d.await("edge-1", "split", false, 4s));
  CHECK(steady::now() - struck < 3s + 200ms);  // noticed within 3 s, and a look at it
  check_edge_alone(d);
  check_struck(a, undisturbed.text, struck, notice + patience);
  CHECK_FALSE(a.result);

  d.signal("cloud-1", SIGCONT);
  REQUIRE(d.await("edge-1", "split", true, 10s));
  CHECK(d.ask("edge-1", "split", q.prompt).text == undisturbed.text);
  CHECK(d.process_of("edge-1").pid == edge);
}

TEST_CASE("an edge is killed while split answers and its cloud frees what it held", "[faults]") {
  running_deployment d{"faults-edge", 17473};
  auto& q = d.long_question(0);
  auto undisturbed = d.ask("edge-1", "split", q.prompt);
  asking a{d, "split", q};
  REQUIRE(a.await_pieces(5));
  d.signal("edge-1", SIGKILL);
  a.wait();
  CHECK_FALSE(a.result);
  // The other edge is not touched, and the killed one is back and answers the same.
  CHECK(d.ask("edge-2", "split", q.prompt).text == undisturbed.text);
  REQUIRE(d.await("edge-1", "split", true, 20s));
  CHECK(d.ask("edge-1", "split", q.prompt).text == undisturbed.text);
}

TEST_CASE("nothing is left after down, also when a node and the keeper were killed before", "[faults]") {
  running_deployment d{"faults-down", 17474};
  d.signal("cloud-1", SIGKILL);
  for (auto& p : deploy::processes_of(d.dir().root))
    if (p.command == "keeper")
      deploy::send_signal(p, SIGKILL);
  CHECK(d.command("down " + d.manifest().string()) == 0);
  CHECK(deploy::processes_of(d.dir().root).empty());
  CHECK_FALSE(std::filesystem::exists(d.dir().root));
}
