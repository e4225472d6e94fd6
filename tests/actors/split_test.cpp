// `split` through real roles, stubs and engines: for every cut it gives the tokens of the whole model, bit for bit.
#include "actors/engine/engine.hpp"
#include "actors/roles/drafter.hpp"
#include "actors/roles/verifier.hpp"
#include "actors/stub.hpp"
#include "models/hf/folder.hpp"
#include "models/make_shard.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sim_system.hpp"
#include "tests/support/toy_shard.hpp"

using namespace virga;
using namespace virga::testing;
using models::stage;
using models::stage_kind;

namespace {

/// Makes a shard that holds these stages of one model.
using shard_maker = std::function<std::unique_ptr<models::shard>(const std::vector<stage>&)>;

std::vector<stage> whole(std::uint32_t layers) {
  return {{stage_kind::embedding}, {stage_kind::layers, 0, layers}, {stage_kind::head}};
}

std::vector<stage> device_stages(std::uint32_t cut) {
  if (cut == 0)
    return {{stage_kind::embedding}, {stage_kind::head}};
  return {{stage_kind::embedding}, {stage_kind::layers, 0, cut}, {stage_kind::head}};
}

/// One device and one cloud around a model that is cut after `cut` layers, joined by stubs.
struct pair : sim {
  pair(const shard_maker& make, std::uint32_t layers, std::uint32_t cut, std::uint32_t chunk) {
    auto info = make(whole(layers))->info();
    part.serves = strategy::split;
    part.model_digest = info.model_digest;
    part.first_layer = cut;
    part.last_layer = layers;
    part.hidden = info.hidden;
    part.compute = info.compute;

    auto cloud_part = part;
    cloud_part.stage_count = 1;
    cloud_engine = start_engine("cloud", cloud, [=] { return make({{stage_kind::layers, cut, layers}}); });
    verify = sys.spawn(make_verifier, verifier_options{cloud_part, 11, "cloud", 64}, engine{cloud_engine});
    verifier_stub = sys.spawn(make_stub<verifier>, stub_options{role::verifier, "verifier"});
    caf::anon_send(verifier_stub, target_atom::value, std::uint32_t{0}, verifier{verify}, std::uint64_t{11});

    auto device_part = part;
    device_part.stage_count = static_cast<std::uint32_t>(device_stages(cut).size());
    device_engine = start_engine("device", device, [=] { return make(device_stages(cut)); });
    session_config sessions;
    sessions.prefill_rows = chunk;
    draft = sys.spawn(make_drafter, drafter_options{device_part, sessions, 12, "edge-1", {"cloud", "the rest"}},
                      engine{device_engine}, verifier{verifier_stub});
    run();
  }

  stub_of<engine> start_engine(std::string name, engine_actor& actor, std::function<std::unique_ptr<models::shard>()> make) {
    engine_config c;
    c.name = name;
    c.make = std::move(make);
    actor = sys.spawn(make_engine, std::move(c));
    auto stub = sys.spawn(make_stub<engine>, stub_options{role::node, "engine " + name});
    caf::anon_send(stub, target_atom::value, std::uint32_t{0}, engine{actor}, std::uint64_t{1});
    return stub;
  }

  answer_log generate(std::vector<token_id> prompt, std::uint32_t max_tokens, sampling choose = {},
                      std::uint64_t id = 1) {
    auto log = make_log();
    auto me = listen(log);
    complete work{std::move(prompt), {}, max_tokens, choose, {}};
    caf::anon_send(draft, call<complete>{header{{0, id}, 1, 0, 0, role::drafter, now() + 100s}, std::move(work), me});
    run();
    listeners.push_back(me);
    return log;
  }

  role_config part;
  engine_actor cloud, device;
  stub_of<engine> cloud_engine, device_engine;
  verifier_actor verify;
  stub_of<verifier> verifier_stub;
  drafter_actor draft;
  std::vector<sink> listeners;
};

/// The whole model in one shard, token by token: what every cut must give.
std::vector<token_id> expected(const shard_maker& make, std::uint32_t layers, const std::vector<token_id>& prompt,
                               std::uint32_t max_tokens, sampling choose) {
  auto shard = make(whole(layers));
  auto seq = shard->open();
  auto input = prompt;
  std::vector<token_id> out;
  std::uint64_t base = 0;
  while (out.size() < max_tokens) {
    models::segment s;
    s.seq = seq;
    s.last_stage = 2;
    s.base = base;
    s.tokens = input;
    s.want.tokens = rows_wanted::last;
    s.want.choose = choose;
    base += input.size();
    input = {shard->step(std::span{&s, 1}).at(0).choices.at(0).id};
    out.push_back(input[0]);
  }
  return out;
}

std::vector<token_id> ids_of(const answer_log& log) {
  std::vector<token_id> out;
  for (auto& t : bodies<tokens>(log)) {
    CHECK(t.position == out.size());
    out.insert(out.end(), t.ids.begin(), t.ids.end());
  }
  return out;
}

std::unique_ptr<models::shard> toy(const std::vector<stage>& stages) {
  toy_options o;
  o.stages = stages;
  return std::make_unique<toy_shard>(o);
}

/// A reference shard that holds only `stages` of a fixture's folder.
shard_maker reference(const std::string& fixture, dtype compute) {
  auto dir = std::filesystem::path{VIRGA_SOURCE_DIR} / "tests/parity/fixtures" / fixture;
  auto folder = std::make_shared<models::hf::model_folder>(dir);
  return [folder, compute](const std::vector<stage>& stages) {
    models::shard_options o;
    o.compute = compute;
    o.stages = stages;
    return models::make_reference_shard(*folder, o);
  };
}

std::uint32_t layers_of(const std::string& fixture) {
  auto dir = std::filesystem::path{VIRGA_SOURCE_DIR} / "tests/parity/fixtures" / fixture;
  return models::hf::model_folder{dir}.config().num_hidden_layers;
}

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
