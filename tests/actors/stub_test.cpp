#include "actors/stub.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sim_system.hpp"

using namespace virga;
using namespace virga::testing;

namespace {

/// A verifier that remembers what it is asked and answers nothing by itself.
struct silent {
  std::vector<call<verify>> asked;
  std::vector<header> closed;
};

verifier::behavior_type silent_verifier(std::shared_ptr<silent> seen) {
  return {[](call<open_session>&) {}, [seen](call<verify>& c) { seen->asked.push_back(std::move(c)); },
          [seen](call<close_session>& c) { seen->closed.push_back(c.hdr); }};
}

struct fixture : sim {
  fixture() {
    stub = sys.spawn(make_stub<verifier>, stub_options{role::verifier, "verifier at cloud", 2, 50ms});
    target = sys.spawn(silent_verifier, seen);
    me = listen(log);
  }

  void start(std::uint64_t incarnation = 7) {
    caf::anon_send(stub, target_atom::value, target, incarnation);
    run();
  }

  header ask_verify(std::uint32_t unit, caf::timespan remaining = 1s) {
    header hdr{{1, 2}, 3, unit, 0, role::node, now() + remaining};
    caf::anon_send(stub, call<verify>{hdr, verify{}, me});
    run();
    return hdr;
  }

  void answer_with(std::size_t i, bool last = true) {
    auto& c = seen->asked.at(i);
    caf::anon_send(c.reply, answer{c.hdr, verified{}, last, {}});
    run();
  }

  std::shared_ptr<silent> seen = std::make_shared<silent>();
  answer_log log = make_log();
  stub_of<verifier> stub;
  verifier target;
  sink me;
};

std::vector<ec> failures(const answer_log& log) {
  std::vector<ec> out;
  for (auto& f : bodies<failure>(log))
    out.push_back(f.code);
  return out;
}

} // namespace

TEST_CASE_METHOD(fixture, "a stub without a target answers at once that the peer is unreachable", "[actors][stub]") {
  ask_verify(1);
  CHECK(failures(log) == std::vector{ec::peer_unreachable});
}

TEST_CASE_METHOD(fixture, "a stub stamps role and incarnation and passes the answer back", "[actors][stub]") {
  start(7);
  ask_verify(1);
  REQUIRE(seen->asked.size() == 1);
  CHECK(seen->asked[0].hdr.target == role::verifier);
  CHECK(seen->asked[0].hdr.incarnation == 7);
  answer_with(0);
  REQUIRE(log->size() == 1);
  CHECK(std::holds_alternative<verified>(log->at(0).body));
}

TEST_CASE_METHOD(fixture, "an answer that nobody waits for any more is dropped", "[actors][stub]") {
  start();
  ask_verify(1);
  answer_with(0);
  answer_with(0);
  CHECK(log->size() == 1);
}

TEST_CASE_METHOD(fixture, "a call waits for more answers until the last one", "[actors][stub]") {
  start();
  ask_verify(1);
  answer_with(0, false);
  answer_with(0, false);
  answer_with(0, true);
  answer_with(0, true);
  CHECK(log->size() == 3);
}

TEST_CASE_METHOD(fixture, "a silent target is overdue within one tick after the deadline", "[actors][stub]") {
  start();
  ask_verify(1, 200ms);
  advance(199ms);
  CHECK(log->empty());
  advance(51ms);
  CHECK(failures(log) == std::vector{ec::deadline_exceeded});
}

TEST_CASE_METHOD(fixture, "a lost target fails everything pending at once", "[actors][stub]") {
  start();
  ask_verify(1);
  ask_verify(2);
  caf::anon_send(stub, lost_atom::value, std::string{"the link went down"});
  run();
  CHECK(failures(log) == std::vector{ec::peer_unreachable, ec::peer_unreachable});
  CHECK(bodies<failure>(log)[0].text == "verifier at cloud was lost: the link went down");
}

TEST_CASE_METHOD(fixture, "a restarted target is found by the calls that follow", "[actors][stub]") {
  start(7);
  ask_verify(1);
  caf::anon_send(stub, target_atom::value, target, std::uint64_t{8});
  run();
  CHECK(failures(log) == std::vector{ec::peer_unreachable});
  ask_verify(2);
  REQUIRE(seen->asked.size() == 2);
  CHECK(seen->asked[1].hdr.incarnation == 8);
}

TEST_CASE_METHOD(fixture, "calls beyond the bound are refused while those within it are answered", "[actors][stub]") {
  start();
  ask_verify(1);
  ask_verify(2);
  ask_verify(3);
  CHECK(failures(log) == std::vector{ec::queue_full});
  CHECK(seen->asked.size() == 2);
  answer_with(0);
  ask_verify(4);
  CHECK(seen->asked.size() == 3);
}

TEST_CASE_METHOD(fixture, "a repeated call takes the place of the first one", "[actors][stub]") {
  start();
  ask_verify(1);
  ask_verify(1);
  ask_verify(2);
  CHECK(failures(log).empty());
  answer_with(0);
  answer_with(1);
  CHECK(bodies<verified>(log).size() == 1);
}

TEST_CASE_METHOD(fixture, "a closing word reaches the target and is not pending", "[actors][stub]") {
  start();
  caf::anon_send(stub, call<close_session>{header{{1, 2}, 3, 0, 0, role::node, now()}, {}, me});
  run();
  CHECK(seen->closed.size() == 1);
  advance(1s);
  CHECK(log->empty());
}
