#include "actors/stub.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sim_system.hpp"

#include <array>

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
  ~fixture() { seen->asked.clear(); }  // what was asked keeps the stub, which keeps who was asked

  void start(std::uint64_t incarnation = 7) {
    caf::anon_send(stub, target_atom::value, std::uint32_t{0}, target, incarnation);
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
  caf::anon_send(stub, lost_atom::value, std::uint32_t{0}, std::string{"the link went down"});
  run();
  CHECK(failures(log) == std::vector{ec::peer_unreachable, ec::peer_unreachable});
  CHECK(bodies<failure>(log)[0].text == "verifier at cloud was lost: the link went down");
}

TEST_CASE_METHOD(fixture, "a restarted target is found by the calls that follow", "[actors][stub]") {
  start(7);
  ask_verify(1);
  caf::anon_send(stub, target_atom::value, std::uint32_t{0}, target, std::uint64_t{8});
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

namespace {

/// A stub with two replicas behind it.
struct pair_fixture : sim {
  pair_fixture() {
    stub_options options{role::verifier, "verifier of the site"};
    options.ways = 2;
    stub = sys.spawn(make_stub<verifier>, options);
    for (auto& s : seen)
      s = std::make_shared<silent>();
    me = listen(log);
  }

  ~pair_fixture() {
    for (auto& s : seen)
      s->asked.clear();
  }

  void rise(std::uint32_t way, std::uint64_t incarnation = 7) {
    caf::anon_send(stub, target_atom::value, way, verifier{sys.spawn(silent_verifier, seen[way])}, incarnation);
    run();
  }

  void fall(std::uint32_t way) {
    caf::anon_send(stub, lost_atom::value, way, std::string{"its node is gone"});
    run();
  }

  void ask(std::uint64_t session, std::uint32_t unit = 1, caf::timespan remaining = 10s) {
    caf::anon_send(stub, call<verify>{header{{0, session}, 1, unit, 0, role::node, now() + remaining}, verify{}, me});
    run();
  }

  void close(std::uint64_t session) {
    caf::anon_send(stub, call<close_session>{header{{0, session}, 1, 0, 0, role::node, now() + 1s}, {}, me});
    run();
  }

  std::vector<std::uint64_t> sessions_at(std::size_t way) const {
    std::vector<std::uint64_t> out;
    for (auto& c : seen[way]->asked)
      out.push_back(c.hdr.session.lo);
    return out;
  }

  using ids = std::vector<std::uint64_t>;
  std::array<std::shared_ptr<silent>, 2> seen;
  answer_log log = make_log();
  stub_of<verifier> stub;
  sink me;
};

} // namespace

TEST_CASE_METHOD(pair_fixture, "a session stays with its replica, a new one goes where fewer are", "[actors][stub]") {
  rise(0, 7);
  rise(1, 8);
  for (std::uint64_t s : {1, 2, 3, 1, 2, 3})
    ask(s, static_cast<std::uint32_t>(log->size() + s));
  CHECK(sessions_at(0) == ids{1, 3, 1, 3});
  CHECK(sessions_at(1) == ids{2, 2});
  CHECK(seen[1]->asked[0].hdr.incarnation == 8);
}

TEST_CASE_METHOD(pair_fixture, "a lost replica fails what it was asked, and its sessions go to the other", "[actors][stub]") {
  rise(0);
  rise(1);
  ask(1);
  ask(2);
  fall(0);
  CHECK(failures(log) == std::vector{ec::peer_unreachable});
  ask(1, 2);
  CHECK(sessions_at(1) == ids{2, 1});
  SECTION("and when it is back, new sessions find it") {
    rise(0, 9);
    ask(3);
    ask(1, 3);
    CHECK(sessions_at(0) == ids{1, 3});
    CHECK(sessions_at(1) == ids{2, 1, 1});
  }
  SECTION("and without any, calls are answered at once") {
    fall(1);
    CHECK(failures(log).size() == 3);
    ask(4);
    CHECK(failures(log).size() == 4);
  }
}

TEST_CASE_METHOD(pair_fixture, "a closed session and an overdue one make room at their replica", "[actors][stub]") {
  rise(0);
  rise(1);
  SECTION("closed") {
    for (std::uint64_t id : {1, 2, 3})
      ask(id);
    close(1);
    close(3);
    CHECK(seen[0]->closed.size() == 2);
    CHECK(seen[1]->closed.empty());
  }
  SECTION("overdue") {
    ask(1, 1, 100ms);
    ask(2);
    ask(3, 1, 100ms);
    advance(300ms);
  }
  ask(4);
  ask(5);
  CHECK(sessions_at(0) == ids{1, 3, 4, 5});
  CHECK(sessions_at(1) == ids{2});
}

TEST_CASE_METHOD(pair_fixture, "a word about a session that is nowhere places it nowhere", "[actors][stub]") {
  rise(0);
  rise(1);
  close(1);
  ask(2);
  CHECK(seen[0]->closed.empty());
  CHECK(sessions_at(0) == ids{2});
}
