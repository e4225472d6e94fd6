#include "tests/actors/toy_nodes.hpp"

using namespace virga;
using namespace virga::testing;

TEST_CASE_METHOD(two_nodes, "two nodes find each other and answer by every strategy with one text", "[actors][node]") {
  start_both();
  CHECK(status(edge).ready);
  CHECK(status(edge).strategies == strategies{strategy::cloud, strategy::edge, strategy::split});
  CHECK(status(cloud).strategies == strategies{strategy::cloud});
  for (auto how : {strategy::cloud, strategy::edge, strategy::split}) {
    auto a = prompt(edge, how, "What is a virga", 12);
    REQUIRE(await(a));
    CHECK(a.text() == toy_text("What is a virga", 12));
    CHECK(a.end().error == ec::none);
    CHECK(a.end().completion_tokens == 12);
  }
  advance(100ms);  // the word that the session is over reaches the cloud
  for (const auto& n : {edge, cloud})
    for (const auto& e : status(n).engines) {
      CHECK(e.steps > 0);
      CHECK(e.sequences == 0);
    }
}

TEST_CASE_METHOD(two_nodes, "a killed role restarts as a new incarnation and its stub finds it", "[actors][node]") {
  start_both();
  const auto before = report(edge, "generator edge");
  auto a = prompt(edge, strategy::edge, "To be", 30);
  advance(105ms);
  REQUIRE(a.text().size() > 3);
  crash_role(edge, "generator edge");
  const auto after = report(edge, "generator edge");
  CHECK(after.running);
  CHECK(after.incarnation != before.incarnation);
  CHECK(after.restarts == 1);
  REQUIRE(await(a));
  CHECK(a.text() == toy_text("To be", 30));
  CHECK(a.end().attempts == 2);
  CHECK(status(edge).engines[0].sequences == 0);
}

TEST_CASE_METHOD(two_nodes, "a session survives the death of each actor that serves it", "[actors][node]") {
  start_both();
  const auto [at_cloud, victim] = GENERATE(table<bool, std::string>({{true, "engine middle"},
                                                                      {true, "verifier split"},
                                                                      {true, "link home/edge-1"},
                                                                      {false, "engine device"},
                                                                      {false, "drafter split"},
                                                                      {false, "link cloud/cloud-1"}}));
  const auto& place = at_cloud ? cloud : edge;
  auto a = prompt(edge, strategy::split, "or not", 20);
  advance(150ms);
  REQUIRE(a.text().size() > 1);
  REQUIRE_FALSE(a.complete());
  crash_role(place, victim);
  REQUIRE(await(a));
  CHECK(a.end().error == ec::none);
  CHECK(a.text() == toy_text("or not", 20));
  CHECK(report(place, victim).restarts == 1);
  advance(2s);
  CHECK(status(edge).strategies.size() == 3);
  for (const auto& n : {edge, cloud})
    for (const auto& e : status(n).engines)
      CHECK(e.sequences == 0);
}

TEST_CASE_METHOD(two_nodes, "a peer hears of a role's new incarnation", "[actors][node]") {
  start_both();
  crash_role(cloud, "verifier split");
  advance(100ms);
  const auto offered = status(edge).peers.at(0).roles;
  const auto it = std::ranges::find(offered, role::verifier, &role_status::kind);
  REQUIRE(it != offered.end());
  CHECK(it->incarnation == report(cloud, "verifier split").incarnation);
}

TEST_CASE_METHOD(two_nodes, "the fourth crash within the window ends the node with a sentence", "[actors][node]") {
  start_edge();
  advance(1s);
  const auto ended = watch(edge);
  for (int i = 0; i < 3; ++i) {
    crash_role(edge, "drafter split");
    advance(1s);
    REQUIRE_FALSE(*ended);
  }
  crash_role(edge, "drafter split");
  advance(1s);
  REQUIRE(*ended);
  CHECK(text_of(**ended)
        == "node edge-1: drafter split crashed more than 3 times within 30 s, the last time because it was killed");
  CHECK(alive() == 1);  // the pipe's clock
}

TEST_CASE_METHOD(two_nodes, "crashes far apart do not end a node", "[actors][node]") {
  start_edge();
  const auto ended = watch(edge);
  for (int i = 0; i < 6; ++i) {
    advance(11s);
    crash_role(edge, "session host");
  }
  CHECK_FALSE(*ended);
  CHECK(report(edge, "session host").restarts == 6);
  CHECK(status(edge).ready);
}

TEST_CASE_METHOD(two_nodes, "a lost cloud takes cloud and split from an edge, but not edge", "[actors][node]") {
  start_both();
  const auto role_before = report(edge, "generator edge").incarnation;
  auto survivor = prompt(edge, strategy::edge, "drizzle", 60);
  auto lost = prompt(edge, strategy::split, "rain", 200, 4s);
  advance(100ms);
  crash(cloud);
  cloud = nullptr;
  advance(3s);
  CHECK(status(edge).strategies == strategies{strategy::edge});
  CHECK(status(edge).ready);
  CHECK_FALSE(status(edge).peers.at(0).up);
  CHECK_FALSE(status(edge).peers.at(0).reason.empty());
  REQUIRE(await(survivor));
  CHECK(survivor.text() == toy_text("drizzle", 60));
  CHECK(survivor.end().attempts == 1);
  REQUIRE(await(lost));
  CHECK(lost.end().error != ec::none);
  CHECK(report(edge, "generator edge").incarnation == role_before);
  auto refused = prompt(edge, strategy::cloud, "rain", 3);
  REQUIRE(await(refused));
  CHECK(refused.end().error == ec::peer_unreachable);

  cloud = start(cloud_config());
  advance(5s);
  CHECK(status(edge).strategies.size() == 3);
  auto again = prompt(edge, strategy::split, "rain", 5);
  REQUIRE(await(again));
  CHECK(again.text() == toy_text("rain", 5));
}

TEST_CASE_METHOD(two_nodes, "a node that is told to end leaves no actor running", "[actors][node]") {
  start_both();
  auto a = prompt(edge, strategy::split, "half way", 100);
  advance(200ms);
  const auto edge_ended = watch(edge), cloud_ended = watch(cloud);
  end(edge);
  advance(1s);
  REQUIRE(*edge_ended);
  CHECK_FALSE(**edge_ended);
  end(cloud);
  advance(1s);
  REQUIRE(*cloud_ended);
  a.listener = nullptr;
  run();
  CHECK(alive() == 1);  // the pipe's clock
}

TEST_CASE_METHOD(two_nodes, "actors end in the order of who needs whom", "[actors][node]") {
  auto order = std::make_shared<std::vector<std::string>>();
  start_both();
  auto& st = state_of(edge);
  for (std::string name : {"engine small", "generator edge", "session host", "link cloud/cloud-1", "stub of session host"})
    watchers.push_back(sys.spawn([order, name, whom = st.find(name)](caf::event_based_actor* self) -> caf::behavior {
      self->set_down_handler([=](const caf::down_msg&) { order->push_back(name); });
      self->monitor(whom);
      return {[](caf::unit_t) {}};
    }));
  run();
  end(edge);
  CHECK(*order == std::vector<std::string>{"link cloud/cloud-1", "session host", "generator edge", "engine small",
                                           "stub of session host"});
  for (auto& w : watchers)
    end(w);
}

TEST_CASE_METHOD(two_nodes, "a draining node refuses new sessions and waits for the running ones", "[actors][node]") {
  start_both();
  auto running = prompt(edge, strategy::split, "last words", 30);
  advance(200ms);
  REQUIRE_FALSE(running.complete());
  const auto ended = watch(edge);
  caf::anon_send(edge, drain_atom::value);
  run();
  CHECK_FALSE(status(edge).ready);
  CHECK(status(edge).draining);
  auto late = prompt(edge, strategy::edge, "too late", 3);
  REQUIRE(late.complete());
  CHECK(late.end().error == ec::shutting_down);
  REQUIRE(await(running));
  CHECK(running.text() == toy_text("last words", 30));
  CHECK_FALSE(*ended);
  advance(1s);
  REQUIRE(*ended);
  CHECK_FALSE(**ended);
}

TEST_CASE_METHOD(two_nodes, "a draining cloud waits for the sequences of its edges", "[actors][node]") {
  start_both();
  auto running = prompt(edge, strategy::split, "last words", 30);
  advance(200ms);
  const auto ended = watch(cloud);
  caf::anon_send(cloud, drain_atom::value);
  REQUIRE(await(running));
  CHECK(running.text() == toy_text("last words", 30));
  CHECK(running.end().attempts == 1);
  advance(1s);
  CHECK(*ended);
}

TEST_CASE_METHOD(two_nodes, "a draining node waits for a session that has lost its peer for a moment", "[actors][node]") {
  start_both();
  auto running = prompt(edge, strategy::split, "last words", 30);
  advance(200ms);
  REQUIRE_FALSE(running.complete());
  const auto ended = watch(edge);
  pipe->cut("a cable was pulled");
  caf::anon_send(edge, drain_atom::value);
  REQUIRE(await(running));
  CHECK(running.text() == toy_text("last words", 30));
  CHECK(running.end().error == ec::none);
  CHECK_FALSE(*ended);
}

TEST_CASE_METHOD(two_nodes, "draining ends when its time is up", "[actors][node]") {
  auto c = edge_config();
  c.drain = 2s;
  edge = start(c);
  advance(1s);
  auto endless = prompt(edge, strategy::edge, "on and on", 240);
  const auto ended = watch(edge);
  caf::anon_send(edge, drain_atom::value);
  advance(1900ms);
  CHECK_FALSE(*ended);
  advance(500ms);
  CHECK(*ended);
}

TEST_CASE_METHOD(two_nodes, "a model that cannot be loaded ends the node at once with the sentence", "[actors][node]") {
  auto c = edge_config();
  c.engines[1].make = []() -> std::unique_ptr<models::shard> {
    throw models::bad_model("models/device/config.json: hidden_size is 0, expected a positive number");
  };
  edge = start(c);
  const auto ended = watch(edge);
  REQUIRE(*ended);
  CHECK(text_of(**ended)
        == "node edge-1: engine device: models/device/config.json: hidden_size is 0, expected a positive number");
  CHECK(alive() == 1);
}

TEST_CASE_METHOD(two_nodes, "a role without its engine ends the node with a sentence", "[actors][node]") {
  auto c = edge_config();
  c.roles[0].engine = "tiny";
  edge = start(c);
  const auto ended = watch(edge);
  REQUIRE(*ended);
  CHECK(text_of(**ended) == "node edge-1: role generator names engine \"tiny\", which this node does not have");
}

TEST_CASE_METHOD(two_nodes, "a gateway that cannot start ends the node, one that runs ends first", "[actors][node]") {
  auto c = edge_config();
  c.gateways.resize(1);
  c.gateways[0].port = 80;
  parts.start_gateway = [](caf::actor_system&, const gateway_config&, const node_stubs&, node) -> caf::actor {
    throw std::runtime_error("port 80 of 127.0.0.1 is in use");
  };
  edge = start(c);
  const auto ended = watch(edge);
  REQUIRE(*ended);
  CHECK(text_of(**ended) == "node edge-1: port 80 of 127.0.0.1 is in use");
}

TEST_CASE_METHOD(two_nodes, "an idle node without a link sets no timer", "[actors][node]") {
  auto c = edge_config();
  c.links.clear();
  edge = start(c);
  advance(60s);
  CHECK(status(edge).ready);
  CHECK(status(edge).strategies == strategies{strategy::edge});
  advance(1s);
  CHECK_FALSE(sched.has_pending_timeout());
}

TEST_CASE("a restart window forgets crashes that are old", "[actors][node]") {
  restart_window w{{2, 10s}};
  const time_point t{};
  CHECK(w.allow(t));
  CHECK(w.allow(t + 1s));
  CHECK_FALSE(w.allow(t + 2s));
  CHECK(w.allow(t + 20s));
}
