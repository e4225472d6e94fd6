// The LINK actor over a simulated wire: virtual time, real frames.
#include "actors/link/link.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sim_pipe.hpp"
#include "tests/support/sim_system.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

using namespace virga;
using namespace virga::testing;
using Catch::Matchers::Contains;

namespace {

template <class T>
using log = std::shared_ptr<std::vector<T>>;

template <class T>
log<T> make_list() { return std::make_shared<std::vector<T>>(); }

/// Two nodes with a link each. The cloud's roles are played by the test.
struct two_sites : sim {
  two_sites() {
    cloud = start("cloud-1", "cloud", "edge-1", "home", false, cloud_peers,
                  {sessions_of(prompts, cancels), verifier_of(opens, verifies, closes)});
    edge = start("edge-1", "home", "cloud-1", "cloud", true, edge_peers, {});
  }
  ~two_sites() {
    end(edge);
    end(cloud);
  }

  link_options options(const char* name, const char* site, const char* peer, const char* peer_site, bool dial) {
    link_options o;
    o.config.peer_node = peer;
    o.config.peer_site = peer_site;
    o.config.dial = dial;
    o.own.node = name;
    o.own.site = site;
    o.seed = 1;
    return o;
  }

  link_actor start(const char* name, const char* site, const char* peer, const char* peer_site, bool dial,
                   log<peer_state> peers, offered_roles offered) {
    return spawn_link(sys, nullptr, options(name, site, peer, peer_site, dial), wire(), node_of(peers), offered);
  }

  transport_factory wire() {
    return [p = pipe](const link_config& c, pipe_events events) {
      return p->attach(c.dial ? sim_pipe::dialer : sim_pipe::acceptor, std::move(events));
    };
  }

  node node_of(log<peer_state> peers) {
    return sys.spawn([peers]() -> node::behavior_type {
      return {[peers](peer_atom, peer_state& p) { peers->push_back(std::move(p)); },
              [](stats_atom) { return node_status{}; }, [](drain_atom) {}, [](tick_atom) {}};
    });
  }

  /// Answers each prompt with its letters, then an outcome; a prompt "wait" never.
  session_host sessions_of(log<std::string> said, log<header> stopped) {
    return sys.spawn([said, stopped]() -> session_host::behavior_type {
      return {[said](call<generate>& c) {
                said->push_back(c.body.prompt);
                if (c.body.prompt == "wait")
                  return;
                std::uint64_t position = 0;
                for (auto letter : c.body.prompt)
                  reply_to(c.reply, c.hdr, tokens{position++, {1}, {letter}}, false);
                reply_to(c.reply, c.hdr, outcome{});
              },
              [stopped](call<cancel>& c) { stopped->push_back(c.hdr); }};
    });
  }

  /// Sends rows back as they came; rows of unit 99 never.
  verifier verifier_of(log<header> opened_log, log<header> verified_log, log<header> closed_log) {
    return sys.spawn([=]() -> verifier::behavior_type {
      return {[=](call<open_session>& c) {
                opened_log->push_back(c.hdr);
                reply_to(c.reply, c.hdr, opened{3, 4});
              },
              [=](call<verify>& c) {
                verified_log->push_back(c.hdr);
                if (c.hdr.unit != 99)
                  reply_to(c.reply, c.hdr, verified{c.body.base, std::move(c.body.rows), {}});
              },
              [=](call<close_session>& c) { closed_log->push_back(c.hdr); }};
    });
  }

  header head(role target, std::uint32_t unit = 0) { return {{1, 2}, 1, unit, 0, target, now() + 60s}; }

  template <class T>
  answer_log ask_peer(T body, header hdr) {
    auto answers = make_log();
    listeners.push_back(listen(answers));
    caf::anon_send(edge, call<T>{hdr, std::move(body), listeners.back()});
    return answers;
  }
  answer_log say(const std::string& prompt) {
    generate g;
    g.prompt = prompt;
    return ask_peer(g, head(role::session_host));
  }
  answer_log rows(std::uint32_t count, std::uint32_t unit = 0) {
    return ask_peer(verify{7, rows_wanted::all, {dtype::f32, count, 256, byte_buffer(count * 1024u, std::byte{9})}},
                    head(role::verifier, unit));
  }
  answer_log open() { return ask_peer(open_session{}, head(role::verifier)); }

  static ec failed(const answer_log& a) {
    auto f = bodies<failure>(a);
    return f.size() == 1 && a->back().last ? f[0].code : ec::none;
  }

  std::shared_ptr<sim_pipe> pipe = std::make_shared<sim_pipe>(sys, "edge-1", "cloud-1", pipe_shape{10ms}, 1);
  log<peer_state> edge_peers = make_list<peer_state>(), cloud_peers = make_list<peer_state>();
  log<std::string> prompts = make_list<std::string>();
  log<header> cancels = make_list<header>(), opens = make_list<header>(), verifies = make_list<header>(),
              closes = make_list<header>();
  std::vector<sink> listeners;
  link_actor edge, cloud;
};

} // namespace

TEST_CASE_METHOD(two_sites, "both nodes hear that the link is up, and how far away the peer is", "[actors][link]") {
  advance(2s);
  REQUIRE_FALSE(edge_peers->empty());
  CHECK(edge_peers->back().up);
  CHECK(cloud_peers->back().site == "home");
  auto state = ask<peer_state>(edge, stats_atom::value);
  REQUIRE(state);
  CHECK(state->quality.rtt_us == 20'000);
}

TEST_CASE_METHOD(two_sites, "a prompt crosses, its tokens come back in order and once", "[actors][link]") {
  advance(1s);
  auto answers = say("abc");
  advance(100ms);
  REQUIRE(answers->size() == 4);
  auto pieces = bodies<tokens>(answers);
  CHECK(pieces.at(0).text + pieces.at(1).text + pieces.at(2).text == "abc");
  CHECK(bodies<outcome>(answers).size() == 1);
  CHECK(answers->back().last);
  CHECK_FALSE(answers->front().last);
  CHECK(answers->front().wire.bytes_up > 50);
  CHECK(answers->front().wire.bytes_down > 50);
  CHECK(answers->back().wire.bytes_up == 0);
  CHECK(answers->back().wire.rtt_us == 20'000);
}

TEST_CASE_METHOD(two_sites, "rows go to the verifier and back unchanged", "[actors][link]") {
  advance(1s);
  auto first = open();
  advance(100ms);
  auto second = rows(300, 5);
  advance(200ms);
  CHECK(bodies<opened>(first).at(0).length == 3);
  auto back = bodies<verified>(second);
  REQUIRE(back.size() == 1);
  CHECK(back[0].base == 7);
  CHECK(back[0].rows.data == byte_buffer(300 * 1024, std::byte{9}));
  CHECK(second->back().hdr.unit == 5);
  CHECK(second->back().wire.bytes_up > 300 * 1024);
  CHECK(second->back().wire.bytes_up < 300 * 1024 * 1.05);
}

TEST_CASE_METHOD(two_sites, "a cut fails what is outstanding at once, and the link comes back", "[actors][link]") {
  advance(1s);
  open();
  advance(100ms);
  auto answers = rows(1, 99);
  advance(100ms);
  REQUIRE(answers->empty());
  pipe->cut("the wire was cut");
  run();
  CHECK(failed(answers) == ec::peer_unreachable);
  CHECK_FALSE(edge_peers->back().up);
  CHECK_THAT(edge_peers->back().reason, Contains("cut"));
  auto early = say("x");
  run();
  CHECK(failed(early) == ec::peer_unreachable);
  advance(500ms);
  CHECK(edge_peers->back().up);
  auto again = rows(1, 6);  // the session is still this peer's
  advance(100ms);
  CHECK(bodies<verified>(again).size() == 1);
}

TEST_CASE_METHOD(two_sites, "a frozen wire is noticed within 3 s on both sides", "[actors][link]") {
  advance(1s);
  pipe->stall(4s);
  auto answers = say("wait");
  advance(3s);
  CHECK(failed(answers) == ec::peer_unreachable);
  CHECK_FALSE(edge_peers->back().up);
  CHECK_FALSE(cloud_peers->back().up);
  CHECK_THAT(edge_peers->at(1).reason, Contains("sent nothing for 2500 ms"));
  advance(3s);
  CHECK(edge_peers->back().up);
}

TEST_CASE_METHOD(two_sites, "a crashed peer is noticed at once", "[actors][link]") {
  advance(1s);
  auto answers = say("wait");
  advance(100ms);
  crash(cloud);
  advance(10ms);
  CHECK(failed(answers) == ec::peer_unreachable);
}

TEST_CASE_METHOD(two_sites, "a session is its opener's: others are told that they have none", "[actors][link]") {
  advance(1s);
  auto answers = rows(1);
  advance(100ms);
  CHECK(failed(answers) == ec::unknown_session);
  CHECK(verifies->empty());
  caf::anon_send(edge, call<close_session>{head(role::verifier), {}, {}});
  caf::anon_send(edge, call<cancel>{head(role::session_host), {}, {}});
  advance(100ms);
  CHECK(closes->empty());
  CHECK(cancels->empty());
}

TEST_CASE_METHOD(two_sites, "late frames of an old placement are refused and counted", "[actors][link]") {
  advance(1s);
  auto at = [&](std::uint32_t epoch, std::uint32_t unit) { return header{{5, 6}, epoch, unit, 0, role::verifier, now() + 60s}; };
  verify row{0, rows_wanted::all, {dtype::f32, 1, 1, byte_buffer(4)}};
  ask_peer(open_session{}, at(2, 1));
  advance(100ms);
  auto late = ask_peer(row, at(1, 2));
  auto reopened = ask_peer(open_session{}, at(1, 1));
  auto good = ask_peer(row, at(2, 2));
  advance(100ms);
  CHECK(failed(late) == ec::stale_epoch);
  CHECK(failed(reopened) == ec::stale_epoch);
  CHECK(bodies<verified>(good).size() == 1);
  CHECK(verifies->size() == 1);
  auto state = ask<peer_state>(cloud, stats_atom::value);
  REQUIRE(state);
  CHECK(state->counts.stale_epochs == 2);
  CHECK(state->counts.connections == 1);
  CHECK(state->counts.bytes_in > 0);
}

TEST_CASE_METHOD(two_sites, "a role that is not offered is refused", "[actors][link]") {
  advance(1s);
  auto answers = make_log();
  auto listener = listen(answers);
  caf::anon_send(cloud, call<open_session>{head(role::verifier), {}, listener});
  advance(100ms);
  CHECK(failed(answers) == ec::unsupported);
}

TEST_CASE_METHOD(two_sites, "what a lost peer had begun waits for it for a while, then it ends", "[actors][link]") {
  advance(1s);
  say("wait");
  auto answers = ask_peer(open_session{}, header{{5, 6}, 1, 0, 0, role::verifier, now() + 60s});
  advance(100ms);
  end(edge);
  advance(2s);
  CHECK(cancels->empty());
  CHECK(closes->empty());
  advance(5s);
  REQUIRE(cancels->size() == 1);
  CHECK(cancels->at(0).session == session_id{1, 2});
  REQUIRE(closes->size() == 1);
  CHECK(closes->at(0).session == session_id{5, 6});
}

TEST_CASE_METHOD(two_sites, "a session that its device does not open again after a cut is closed", "[actors][link]") {
  advance(1s);
  auto ask = [&](session_id id, std::uint32_t epoch) {
    ask_peer(open_session{}, header{id, epoch, 0, 0, role::verifier, now() + 60s});
    advance(100ms);
  };
  ask({5, 6}, 1);
  ask({7, 8}, 1);
  pipe->cut("the wire was cut");
  advance(1s);
  REQUIRE(edge_peers->back().up);
  ask({7, 8}, 2);
  CHECK(closes->empty());
  advance(6s);
  REQUIRE(closes->size() == 1);
  CHECK(closes->at(0).session == session_id{5, 6});
  CHECK(closes->at(0).epoch > 1);  // whatever placement it is of
}

TEST_CASE_METHOD(two_sites, "changed roles reach the other node", "[actors][link]") {
  advance(1s);
  caf::anon_send(cloud, roles_atom::value, std::vector<role_status>{{role::verifier, 77}});
  advance(100ms);
  CHECK(edge_peers->back().roles.at(0).incarnation == 77);
}

TEST_CASE_METHOD(two_sites, "a call is answered at its deadline even if the peer never does", "[actors][link]") {
  advance(1s);
  open();
  advance(100ms);
  auto hdr = head(role::verifier, 99);
  hdr.deadline = now() + 2s;
  auto answers = ask_peer(verify{0, rows_wanted::all, {dtype::f32, 1, 1, byte_buffer(4)}}, hdr);
  advance(3s);
  CHECK(failed(answers) == ec::deadline_exceeded);
}

TEST_CASE_METHOD(two_sites, "rate and delay of the wire are what a tensor takes, and the link measures them", "[actors][link]") {
  auto down = GENERATE(1'000'000u, 2'000'000u);
  pipe->reshape({10ms, {}, 1'000'000, down});
  advance(1s);
  open();
  advance(100ms);
  auto begun = now();
  auto answers = rows(1024);  // 1 MiB there and back
  REQUIRE(advance_until([&] { return !answers->empty(); }));
  auto least = 1'048ms + std::chrono::microseconds(1'048'576'000'000 / down);
  CHECK(now() - begun > least);
  CHECK(now() - begun < least * 1.1);
  CHECK(answers->back().wire.up_bytes_per_s == Approx(1'000'000).epsilon(0.05));
  CHECK(answers->back().wire.down_bytes_per_s == Approx(down).epsilon(0.05));
}

TEST_CASE_METHOD(two_sites, "units that come twice change nothing", "[actors][link]") {
  pipe->reshape({10ms, 5ms});
  advance(1s);
  for (int i = 0; i < 20; ++i) {
    pipe->repeat(1 + i % 3);
    auto answers = say("abc");
    advance(100ms);
    CHECK(answers->size() == 4);
  }
  CHECK(prompts->size() == 20);
  CHECK(std::count_if(edge_peers->begin(), edge_peers->end(), [](auto& p) { return p.up; }) == 1);
}

TEST_CASE_METHOD(two_sites, "a refused handshake is told to both nodes with both values", "[actors][link]") {
  end(edge);
  auto o = options("edge-1", "office", "cloud-1", "cloud", true);
  edge = spawn_link(sys, nullptr, o, wire(), node_of(edge_peers), {});
  advance(500ms);
  CHECK_THAT(edge_peers->back().reason, Contains("site office") && Contains("expects home"));
  CHECK_THAT(cloud_peers->back().reason, Contains("site office") && Contains("expects home"));
}
