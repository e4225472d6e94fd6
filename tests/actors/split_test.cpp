// `split` through real roles, stubs and engines: for every cut it gives the tokens of the whole model, bit for bit.
#include "tests/actors/split_pair.hpp"

using namespace virga;
using namespace virga::testing;

namespace {

void check_all_cuts(const shard_maker& make, std::uint32_t layers) {
  const std::vector<token_id> prompt{3, 14, 15, 9, 26, 5, 35};
  for (auto choose : {sampling{}, sampling{0.8, 42}}) {
    auto want = expected(make, layers, prompt, 24, choose);
    for (std::uint32_t cut = 0; cut < layers; ++cut)
      for (std::uint32_t chunk : {1u, 3u, 512u}) {
        CAPTURE(cut, chunk, choose.temperature);
        pair p{make, layers, cut, chunk};
        auto log = p.generate(prompt, 24, choose);
        CHECK(ids_of(log) == want);
        auto ends = bodies<outcome>(log);
        REQUIRE(ends.size() == 1);
        CHECK(ends[0].finish == finish_reason::length);
        CHECK(ends[0].places.size() == 2);
      }
  }
}

} // namespace

TEST_CASE("split gives the tokens of the whole toy model for every cut and chunk", "[actors][split]") {
  check_all_cuts(toy, 4);
}

TEST_CASE("split gives the tokens of the whole reference model for every cut, chunk and dtype", "[actors][split]") {
  check_all_cuts(reference("gqa-untied", dtype::f64), layers_of("gqa-untied"));
  check_all_cuts(reference("mha-tied", dtype::f32), layers_of("mha-tied"));
}

TEST_CASE("sessions side by side get what each gets alone", "[actors][split]") {
  pair p{toy, 4, 1, 2};
  std::vector<answer_log> logs;
  for (token_id i = 0; i < 8; ++i)
    logs.push_back(p.generate({i, i + 1, i + 2}, 10, {}, 100 + i));
  for (token_id i = 0; i < 8; ++i)
    CHECK(ids_of(logs[i]) == expected(toy, 4, {i, i + 1, i + 2}, 10, {}));
}

TEST_CASE("a session is opened again after its device began anew and gives the same tokens", "[actors][split]") {
  pair p{toy, 4, 1, 2};
  auto first = p.generate({1, 2, 3}, 10);
  auto second = p.generate({1, 2, 3}, 10);
  CHECK(ids_of(first) == ids_of(second));
}

TEST_CASE("after a lost link a session goes on from what both sides still hold", "[actors][split]") {
  pair p{toy, 4, 1, 512};
  const std::vector<token_id> prompt{1, 2, 3, 4, 5, 6, 7, 8};
  auto want = expected(toy, 4, prompt, 6, {});
  auto log = p.make_log();
  auto place = [&](std::uint32_t epoch, std::vector<token_id> so_far) {
    complete work{prompt, {}, static_cast<std::uint32_t>(6 - so_far.size()), {}, {}};
    work.prompt.insert(work.prompt.end(), so_far.begin(), so_far.end());
    log = p.make_log();
    p.listeners.push_back(p.listen(log));
    caf::anon_send(p.draft, call<complete>{header{{0, 1}, epoch, 0, 0, role::drafter, p.now() + 100s}, std::move(work),
                                           p.listeners.back()});
  };
  place(1, {});
  while (bodies<tokens>(log).size() < 3)
    REQUIRE(p.sched.try_run_once());
  caf::anon_send(p.verifier_stub, lost_atom::value, std::uint32_t{0}, std::string{"the wire was cut"});
  p.run();
  auto so_far = ids_of(log);
  REQUIRE(bodies<failure>(log).size() == 1);
  CHECK(bodies<failure>(log)[0].code == ec::peer_unreachable);
  auto before = p.ask<engine_stats>(p.cloud, stats_atom::value)->rows;
  auto incarnation = std::uint64_t{11};
  auto back = p.verify;
  auto lost = std::uint64_t{0};  // positions
  SECTION("the cloud still has it: no position is run again but the last") {}
  SECTION("the cloud has lost it: all are") {
    auto cloud_part = p.part;
    cloud_part.stage_count = 1;
    incarnation = 13;
    back = p.sys.spawn(make_verifier, verifier_options{cloud_part, incarnation, "cloud", 64}, engine{p.cloud_engine});
    lost = prompt.size() + so_far.size();
  }
  caf::anon_send(p.verifier_stub, target_atom::value, std::uint32_t{0}, verifier{back}, incarnation);
  place(2, so_far);
  p.run();
  auto rest = so_far;
  for (auto& t : bodies<tokens>(log))
    rest.insert(rest.end(), t.ids.begin(), t.ids.end());
  CHECK(rest == want);
  auto ran = p.ask<engine_stats>(p.cloud, stats_atom::value)->rows - before;
  CHECK(ran <= lost + (6 - so_far.size()) + 1);
  CHECK(ran >= lost);
}

TEST_CASE("what a lost placement kept is freed when its session ends or its deadline has passed", "[actors][split]") {
  pair p{toy, 4, 1, 512};
  auto log = p.make_log();
  auto me = p.listen(log);
  header hdr{{0, 1}, 1, 0, 0, role::drafter, p.now() + 5s};
  caf::anon_send(p.draft, call<complete>{hdr, {{1, 2, 3}, {}, 9, {}, {}}, me});
  while (bodies<tokens>(log).empty())
    REQUIRE(p.sched.try_run_once());
  caf::anon_send(p.verifier_stub, lost_atom::value, std::uint32_t{0}, std::string{"the wire was cut"});
  p.run();
  CHECK(p.ask<engine_stats>(p.device, stats_atom::value)->sequences == 1);
  SECTION("the session ends") {
    caf::anon_send(p.draft, call<cancel>{hdr, {}, me});
    p.run();
  }
  SECTION("nobody says so") { p.advance(7s); }
  CHECK(p.ask<engine_stats>(p.device, stats_atom::value)->sequences == 0);
  CHECK(bodies<outcome>(log).empty());
}

TEST_CASE("a verifier's session is unknown to every peer but its opener", "[actors][split]") {
  pair p{toy, 4, 1, 512};
  auto log = p.make_log();
  auto me = p.listen(log);
  header hdr{{0, 1}, 1, 0, 0, role::verifier, p.now() + 5s};
  open_session open;
  open.model_digest = p.part.model_digest;
  open.first_layer = 1;
  open.last_layer = 4;
  open.hidden = p.part.hidden;
  open.wire = p.part.compute;
  caf::anon_send(p.verify, call<open_session>{hdr, open, me, "edge-1"});
  p.run();
  REQUIRE(bodies<opened>(log).size() == 1);
  hdr.epoch = 2;
  caf::anon_send(p.verify, call<open_session>{hdr, open, me, "edge-2"});
  hdr.epoch = 1;
  caf::anon_send(p.verify, call<verify>{hdr, verify{}, me, "edge-2"});
  caf::anon_send(p.verify, call<close_session>{hdr, {}, me, "edge-2"});
  p.run();
  auto refused = bodies<failure>(log);
  REQUIRE(refused.size() == 2);
  CHECK(refused[0].code == ec::unknown_session);
  CHECK(refused[1].code == ec::unknown_session);
  caf::anon_send(p.verify, call<open_session>{hdr, open, me, "edge-1"});
  p.run();
  CHECK(bodies<opened>(log).size() == 2);
}
