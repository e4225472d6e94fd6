// Two nodes of a site: their NEIGHBOURs, in one actor system, with a middleman that knows one door.
#include "actors/site/defaults.hpp"
#include "actors/site/door.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sim_middleman.hpp"
#include "tests/support/sim_system.hpp"

using namespace virga;
using namespace virga::testing;

namespace {

/// What a role was asked; it answers nothing by itself.
struct heard {
  std::vector<call<generate>> generates;
  std::vector<header> cancels;
  std::vector<call<verify>> verifies;
  std::vector<header> closes;
  std::vector<peer_state> peers;  ///< of a node
};

session_host::behavior_type sessions_of(std::shared_ptr<heard> h) {
  return {[h](call<generate>& c) { h->generates.push_back(std::move(c)); }, [h](call<cancel>& c) { h->cancels.push_back(c.hdr); }};
}

verifier::behavior_type verifier_of(std::shared_ptr<heard> h) {
  return {[](call<open_session>& c) { reply_to(c.reply, c.hdr, opened{}); },
          [h](call<verify>& c) { h->verifies.push_back(std::move(c)); },
          [h](call<close_session>& c) { h->closes.push_back(c.hdr); }};
}

node::behavior_type node_of(std::shared_ptr<heard> h) {
  return {[h](peer_atom, peer_state& s) { h->peers.push_back(std::move(s)); }, [](stats_atom) { return node_status{}; },
          [](drain_atom) {}, [](tick_atom) {}};
}

/// The front dials, the worker has the door and the roles.
struct fixture : sim {
  fixture() {
    door = sys.spawn(make_door, std::string{"worker"});
    mid->doors[7171] = caf::actor_cast<caf::strong_actor_ptr>(door);
    middleman = sys.spawn(sim_middleman, mid);
    front_node = sys.spawn(node_of, at_front);
    worker_node = sys.spawn(node_of, at_worker);
    me = listen(log);
  }

  ~fixture() {  // they would try to come together for ever
    for (auto& n : started)
      caf::anon_send_exit(n, caf::exit_reason::kill);
    run();
  }

  void start_worker(std::uint64_t incarnation = 5, std::string site = "cloud") {
    neighbour_options o;
    o.config.node = "front";
    o.config.dial = false;
    o.own = greeting("worker", site);
    o.own.roles = {{role::session_host, incarnation}, {role::verifier, incarnation}};
    worker = sys.spawn(make_neighbour, o, worker_node,
                       offered_roles{sys.spawn(sessions_of, at_worker), sys.spawn(verifier_of, at_worker)});
    started.push_back(worker);
    caf::anon_send(door, join_atom::value, std::string{"front"}, worker);
    run();
  }

  void start_front(const std::string& name = "front") {
    neighbour_options o;
    o.config.node = "worker";
    o.config.port = 7171;
    o.own = greeting(name, "cloud");
    o.middleman = middleman;
    front = sys.spawn(make_neighbour, o, front_node, offered_roles{});
    started.push_back(front);
    run();
  }

  static hello greeting(const std::string& name, const std::string& site) {
    hello h;
    h.protocol = limits::protocol_version;
    h.site = site;
    h.node = name;
    return h;
  }

  header ask_generate(std::uint64_t id, std::uint64_t incarnation = 5) {
    header hdr{{0, id}, 1, 0, incarnation, role::session_host, now() + 10s};
    generate g;
    g.prompt = "hi";
    caf::anon_send(front, call<generate>{hdr, g, me});
    run();
    return hdr;
  }

  void kill(const neighbour_actor& who) {
    caf::anon_send_exit(who, caf::exit_reason::kill);
    run();
  }

  const peer_state& seen_by_front() const { return at_front->peers.back(); }

  std::shared_ptr<heard> at_front = std::make_shared<heard>(), at_worker = std::make_shared<heard>();
  std::shared_ptr<sim_ports> mid = std::make_shared<sim_ports>();
  door_actor door;
  caf::io::middleman_actor middleman;
  node front_node, worker_node;
  neighbour_actor front, worker;
  std::vector<neighbour_actor> started;
  answer_log log = make_log();
  sink me;
};

} // namespace

TEST_CASE_METHOD(fixture, "two nodes of a site come together and tell their roles", "[actors][site]") {
  start_worker();
  start_front();
  REQUIRE(at_front->peers.size() == 1);
  CHECK(seen_by_front().up);
  CHECK(seen_by_front().node == "worker");
  CHECK(seen_by_front().roles.at(0).incarnation == 5);
  CHECK(at_worker->peers.back().up);
  caf::anon_send(worker, roles_atom::value, std::vector<role_status>{{role::session_host, 6}});
  run();
  CHECK(seen_by_front().roles.at(0).incarnation == 6);
}

TEST_CASE_METHOD(fixture, "calls and answers pass between nodes, large tensors too", "[actors][site]") {
  start_worker();
  start_front();
  ask_generate(1);
  REQUIRE(at_worker->generates.size() == 1);
  CHECK(at_worker->generates[0].body.prompt == "hi");
  auto& asked = at_worker->generates[0];
  reply_to(asked.reply, asked.hdr, tokens{0, {7}, "seven"}, false);
  reply_to(asked.reply, asked.hdr, outcome{});
  run();
  CHECK(bodies<tokens>(log).at(0).text == "seven");
  CHECK(bodies<outcome>(log).size() == 1);

  tensor rows{dtype::f32, 700, 512, byte_buffer(700 * 512 * 4, std::byte{3})};  // 1.4 MB: six slices
  header hdr{{0, 2}, 1, 0, 5, role::verifier, now() + 10s};
  caf::anon_send(front, call<open_session>{hdr, {}, me});
  ++hdr.unit;
  caf::anon_send(front, call<verify>{hdr, verify{0, rows_wanted::all, rows}, me});
  run();
  REQUIRE(at_worker->verifies.size() == 1);
  CHECK(at_worker->verifies[0].body.rows.data == rows.data);
  reply_to(at_worker->verifies[0].reply, at_worker->verifies[0].hdr, verified{0, rows, {}});
  run();
  REQUIRE(bodies<verified>(log).size() == 1);
  CHECK(bodies<verified>(log)[0].rows.data == rows.data);
}

TEST_CASE_METHOD(fixture, "a node that is lost fails what it was asked, and is found when it is back", "[actors][site]") {
  start_worker();
  start_front();
  ask_generate(1);
  kill(worker);
  REQUIRE(bodies<failure>(log).size() == 1);
  CHECK(bodies<failure>(log)[0].code == ec::peer_unreachable);
  CHECK_FALSE(seen_by_front().up);
  CHECK(seen_by_front().reason == "worker has ended");
  ask_generate(2);
  CHECK(bodies<failure>(log).size() == 2);
  const auto tries = mid->tries;
  advance(10s);
  CHECK(mid->tries > tries);  // the door is there, the one behind it is not
  start_worker(9);
  advance(10s);
  CHECK(seen_by_front().up);
  ask_generate(3, 9);
  CHECK(at_worker->generates.size() == 2);
}

TEST_CASE_METHOD(fixture, "a node that cannot be reached is tried again, ever less often", "[actors][site]") {
  auto shut = std::exchange(mid->doors, {});
  start_worker();
  start_front();
  CHECK(seen_by_front().reason.find("cannot be reached") != std::string::npos);
  advance(20s);
  CHECK(mid->tries >= 20);
  CHECK(mid->tries <= 26);
  mid->doors = shut;
  advance(2s);
  CHECK(seen_by_front().up);
}

TEST_CASE_METHOD(fixture, "who is not expected is refused with a sentence", "[actors][site]") {
  SECTION("another name") {
    start_worker();
    start_front("stranger");
    CHECK(seen_by_front().reason.find("no node \"stranger\" is expected at worker") != std::string::npos);
  }
  SECTION("another site") {
    start_worker(5, "other");
    start_front();
    CHECK(seen_by_front().reason.find("the manifest expects") != std::string::npos);
  }
  CHECK_FALSE(seen_by_front().up);
  ask_generate(1);
  CHECK(at_worker->generates.empty());
}

TEST_CASE_METHOD(fixture, "what a lost node has opened is closed, unless it comes back for it", "[actors][site]") {
  start_worker();
  start_front();
  ask_generate(1);
  ask_generate(2);
  kill(front);
  advance(2s);
  CHECK(at_worker->cancels.empty());
  start_front();
  ask_generate(2);
  advance(10s);
  REQUIRE(at_worker->cancels.size() == 1);
  CHECK(at_worker->cancels[0].session == session_id{0, 1});
}

TEST_CASE_METHOD(fixture, "a call for an instance that no longer runs is refused", "[actors][site]") {
  start_worker();
  start_front();
  ask_generate(1, 4);
  REQUIRE(bodies<failure>(log).size() == 1);
  CHECK(bodies<failure>(log)[0].code == ec::stale_incarnation);
  CHECK(at_worker->generates.empty());
  CHECK(ask<peer_state>(worker, stats_atom::value)->counts.stale_incarnations == 1);
}

TEST_CASE_METHOD(fixture, "a node that comes anew takes the place of what it was", "[actors][site]") {
  start_worker();
  start_front();
  auto first = front;
  start_front();
  CHECK(at_worker->peers.back().up);
  ask_generate(1);
  CHECK(at_worker->generates.size() == 1);
  CHECK(at_worker->peers.size() == 3);  // up, away, up
}
