// A cloud of several nodes: a front that has no engine, and workers that have.
#include "tests/actors/toy_nodes.hpp"
#include "tests/support/sim_middleman.hpp"

using namespace virga;
using namespace virga::testing;

namespace {

const std::vector<stage> first_half{{stage_kind::layers, 1, 2}}, second_half{{stage_kind::layers, 2, 4}};

struct site : two_nodes {
  site() {
    auto middleman = sys.spawn(sim_middleman, ports);
    parts.middleman = [middleman](caf::actor_system&) { return middleman; };
  }
  ~site() {
    for (auto& n : workers)
      if (n)
        end(n);
    advance(3s);
  }

  /// A front whose roles run on these nodes.
  node_config front_config(std::vector<std::string> nodes, std::vector<role_part> verifier_parts) {
    auto c = cloud_config();
    c.engines.clear();
    for (auto& r : c.roles)
      r.engine.clear();
    c.roles[0].parts = {{nodes}};
    c.roles[1].parts = std::move(verifier_parts);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      auto& n = c.neighbours.emplace_back();
      n.node = nodes[i];
      n.port = static_cast<std::uint16_t>(7171 + i);
    }
    return c;
  }

  node_config worker_config(std::size_t index, std::vector<stage> middle_stages = middle) {
    auto c = cloud_config();
    c.name = "worker-" + std::to_string(index);
    c.links.clear();
    c.engines[1] = toy_engine("middle", middle_stages);
    c.roles[1].first_layer = middle_stages[0].first;
    c.roles[1].last_layer = middle_stages[0].last;
    c.neighbours.resize(1);
    c.neighbours[0].node = "cloud-1";
    c.neighbours[0].dial = false;
    c.site_port = static_cast<std::uint16_t>(7171 + index);
    c.seed = 10 + index;
    return c;
  }

  void start_replicas() {
    cloud = start(front_config({"worker-0", "worker-1"}, {{{"worker-0", "worker-1"}, 1, 4}}));
    workers = {start(worker_config(0)), start(worker_config(1))};
    start_edge();
    advance(3s);
  }

  void start_pipeline() {
    cloud = start(front_config({"worker-0", "worker-1"}, {{{"worker-0"}, 1, 2}, {{"worker-1"}, 2, 4}}));
    workers = {start(worker_config(0, first_half)), start(worker_config(1, second_half))};
    start_edge();
    advance(3s);
  }

  /// As a process dies: with all its actors.
  void kill(std::size_t index) {
    caf::anon_send_exit(workers[index], caf::exit_reason::kill);
    workers[index] = nullptr;
    run();
    ports->doors.erase(static_cast<std::uint16_t>(7171 + index));
  }

  std::uint64_t rows_at(std::size_t index) { return status(workers[index]).engines[0].rows; }

  void check_nothing_left() {
    advance(7s);
    for (const auto& n : {edge, workers[0], workers[1]})
      if (n)
        for (const auto& e : status(n).engines)
          CHECK(e.sequences == 0);
  }

  std::shared_ptr<sim_ports> ports = std::make_shared<sim_ports>();
  std::vector<node_actor> workers;
};

} // namespace

TEST_CASE_METHOD(site, "a front without engines answers with its workers, one text by every strategy", "[actors][site]") {
  const bool cut = GENERATE(false, true);
  cut ? start_pipeline() : start_replicas();
  CHECK(status(cloud).ready);
  CHECK(status(cloud).strategies == strategies{strategy::cloud});
  CHECK(status(edge).strategies == strategies{strategy::cloud, strategy::edge, strategy::split});
  CHECK(status(cloud).neighbours.size() == 2);
  for (const auto& at : {edge, cloud})
    for (auto how : {strategy::cloud, strategy::split}) {
      if (at == cloud && how == strategy::split)
        continue;
      auto a = prompt(at, how, "What is a virga", 12);
      REQUIRE(await(a));
      CHECK(a.end().error == ec::none);
      CHECK(a.text() == toy_text("What is a virga", 12));
    }
  check_nothing_left();
}

TEST_CASE_METHOD(site, "requests spread over the replicas", "[actors][site]") {
  start_replicas();
  std::vector<asked> all;
  for (int i = 0; i < 6; ++i)
    all.push_back(prompt(edge, strategy::cloud, "request " + std::to_string(i), 8));
  for (auto& a : all)
    REQUIRE(await(a));
  CHECK(rows_at(0) == rows_at(1));
}

TEST_CASE_METHOD(site, "a crashed door opens again", "[actors][site]") {
  start_replicas();
  const auto door = caf::actor_cast<caf::actor>(ports->doors.at(7171));
  caf::anon_send_exit(door, caf::exit_reason::kill);
  advance(1s);
  CHECK(status(workers[0]).ready);
  CHECK(ports->doors.at(7171) != caf::actor_cast<caf::strong_actor_ptr>(door));
  caf::anon_send_exit(cloud, caf::exit_reason::kill);  // who comes next has to come through it
  cloud = start(front_config({"worker-0", "worker-1"}, {{{"worker-0", "worker-1"}, 1, 4}}));
  advance(3s);
  CHECK(std::ranges::all_of(status(cloud).neighbours, &peer_state::up));
}

TEST_CASE_METHOD(site, "when a worker dies its work goes on at its replica, with the same text", "[actors][site]") {
  start_replicas();
  const auto how = GENERATE(strategy::cloud, strategy::split);
  std::vector<asked> all;
  for (int i = 0; i < 4; ++i)
    all.push_back(prompt(edge, how, "request " + std::to_string(i), 30));
  advance(200ms);
  kill(0);
  for (int i = 0; i < 4; ++i) {
    REQUIRE(await(all[static_cast<std::size_t>(i)]));
    CHECK(all[static_cast<std::size_t>(i)].end().error == ec::none);
    CHECK(all[static_cast<std::size_t>(i)].text() == toy_text("request " + std::to_string(i), 30));
  }
  CHECK(status(edge).strategies.size() == 3);
  SECTION("and a restarted one is taken back") {
    workers[0] = start(worker_config(0));
    advance(3s);
    const auto& seen = status(cloud).neighbours;
    CHECK(std::ranges::all_of(seen, &peer_state::up));
    std::vector<asked> more{prompt(edge, strategy::cloud, "a", 9), prompt(edge, strategy::cloud, "b", 9)};
    for (auto& a : more)
      REQUIRE(await(a));
    CHECK(rows_at(0) > 0);
  }
  check_nothing_left();
}

TEST_CASE_METHOD(site, "without a worker the front serves nothing, says so, and recovers", "[actors][site]") {
  start_pipeline();
  auto a = prompt(edge, strategy::split, "or not", 30);
  advance(200ms);
  kill(1);
  advance(500ms);
  CHECK(status(edge).strategies == strategies{strategy::cloud, strategy::edge});  // the other worker has the whole model
  const auto gone = status(cloud).neighbours.at(1);
  CHECK_FALSE(gone.up);
  CHECK(gone.reason.find("worker-1") != std::string::npos);
  kill(0);
  advance(500ms);
  CHECK(status(cloud).strategies.empty());
  workers = {start(worker_config(0, first_half)), start(worker_config(1, second_half))};
  advance(2s);
  CHECK(status(edge).strategies.size() == 3);
  REQUIRE(await(a));
  auto b = prompt(edge, strategy::split, "or not", 30);
  REQUIRE(await(b));
  CHECK(b.text() == toy_text("or not", 30));
  check_nothing_left();
}

TEST_CASE_METHOD(site, "a replica that drains ends what it has and gets nothing new", "[actors][site]") {
  start_replicas();
  std::vector<asked> running;
  for (const char* text : {"first", "second", "third"})  // at the workers 0, 1, 0
    running.push_back(prompt(edge, strategy::cloud, text, 60));
  advance(150ms);
  caf::anon_send(workers[1], drain_atom::value);
  auto refused = prompt(edge, strategy::cloud, "request", 8);
  REQUIRE(await(refused));
  CHECK(refused.end().error == ec::none);
  CHECK(refused.end().attempts == 2);
  auto known = prompt(edge, strategy::cloud, "request", 8);
  REQUIRE(await(known));
  CHECK(known.end().attempts == 1);
  for (auto& a : running) {
    REQUIRE(await(a));
    CHECK(a.end().attempts == 1);
  }
  CHECK(running[1].text() == toy_text("second", 60));
}

TEST_CASE_METHOD(site, "a front that dies is found again by the edge, and no worker keeps what it had", "[actors][site]") {
  start_replicas();
  auto a = prompt(edge, strategy::cloud, "To be or", 40);
  advance(200ms);
  caf::anon_send_exit(cloud, caf::exit_reason::kill);
  run();
  cloud = start(front_config({"worker-0", "worker-1"}, {{{"worker-0", "worker-1"}, 1, 4}}));
  REQUIRE(await(a));
  CHECK(a.text() == toy_text("To be or", 40));
  check_nothing_left();
}
