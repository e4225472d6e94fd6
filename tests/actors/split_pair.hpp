// tests/actors/split_pair.hpp: a device and a cloud around one model, and what every cut of it must give.
#pragma once

#include "actors/engine/engine.hpp"
#include "actors/roles/drafter.hpp"
#include "actors/roles/pipeline.hpp"
#include "actors/roles/verifier.hpp"
#include "actors/stub.hpp"
#include "models/hf/folder.hpp"
#include "models/make_shard.hpp"
#include "tests/models/random_adapter.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sim_system.hpp"
#include "tests/support/toy_shard.hpp"

namespace virga::testing {

using models::stage;
using models::stage_kind;

/// Makes a shard that holds these stages of one model.
using shard_maker = std::function<std::unique_ptr<models::shard>(const std::vector<stage>&)>;

inline std::vector<stage> whole(std::uint32_t layers) {
  return {{stage_kind::embedding}, {stage_kind::layers, 0, layers}, {stage_kind::head}};
}

inline std::vector<stage> device_stages(std::uint32_t cut) {
  if (cut == 0)
    return {{stage_kind::embedding}, {stage_kind::head}};
  return {{stage_kind::embedding}, {stage_kind::layers, 0, cut}, {stage_kind::head}};
}

/// How the device of a pair drafts.
struct drafting {
  stage bridge{stage_kind::head};  ///< between the input stages and the head: an adapter, or layers that the cloud has too; head: none
  draft_config how{};
  std::optional<dtype> wire{};
};

inline drafting adapter_after(std::uint32_t cut, draft_config how = {6, 0.05}) { return {{stage_kind::adapter, cut, cut}, how}; }
inline drafting own_layers(std::uint32_t cut, std::uint32_t layers, draft_config how = {6, 0.0}) {
  return {{stage_kind::layers, cut, layers}, how};
}

/// One device and one cloud around a model that is cut after `cut` layers, joined by stubs. The cloud's layers lie in one
/// engine, or, cut again before each of `cuts`, in several behind a pipeline that sends two rows at once.
struct pair : sim {
  pair(const shard_maker& make, std::uint32_t layers, std::uint32_t cut, std::uint32_t chunk,
       std::vector<std::uint32_t> cuts = {}, drafting drafts = {}) {
    auto info = make(whole(layers))->info();
    part.serves = strategy::split;
    part.model_digest = info.model_digest;
    part.first_layer = cut;
    part.last_layer = layers;
    part.hidden = info.hidden;
    part.compute = info.compute;

    verifier_stub = sys.spawn(make_stub<verifier>, stub_options{role::verifier, "verifier"});
    cuts.insert(cuts.begin(), cut);
    cuts.push_back(layers);
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i)
      start_part(make, cuts[i], cuts[i + 1]);
    if (parts.size() == 1)
      aim(verifier_stub, verifier{verify}, 11);
    else
      aim(verifier_stub, verifier{sys.spawn(make_pipeline, pipeline_options{cut, layers, parts, part.compute, 2})}, 10);

    auto device_part = part;
    auto stages = device_stages(cut);
    device_part.input_stages = static_cast<std::uint32_t>(stages.size()) - 1;
    if (drafts.bridge.kind != stage_kind::head)
      stages.insert(stages.end() - 1, drafts.bridge);
    device_part.stage_count = static_cast<std::uint32_t>(stages.size());
    device_engine = start_engine("device", device, [=] { return make(stages); });
    device_part.draft = drafts.how;
    device_part.draft.chunk_rows = chunk;
    device_part.wire = drafts.wire;
    device_part.view.context = info.max_positions;
    draft = sys.spawn(make_drafter, drafter_options{device_part, 12, "edge-1", {"cloud", "the rest"}},
                      engine{device_engine}, verifier{verifier_stub});
    run();
  }

  /// The cloud's layers [first, last): the members for one part are those of the last.
  void start_part(const shard_maker& make, std::uint32_t first, std::uint32_t last) {
    auto cloud_part = part;
    cloud_part.first_layer = first;
    cloud_part.last_layer = last;
    cloud_part.stage_count = 1;
    cloud_engine = start_engine("cloud", cloud, [=] { return make({{stage_kind::layers, first, last}}); });
    const auto incarnation = std::uint64_t{11} + parts.size();
    verify = sys.spawn(make_verifier, verifier_options{cloud_part, incarnation, "cloud", 64}, engine{cloud_engine});
    auto stub = sys.spawn(make_stub<verifier>, stub_options{role::verifier, "part"});
    aim(stub, verifier{verify}, incarnation);
    parts.push_back({stub, first, last});
    part_stubs.push_back(stub);
    part_engines.push_back(cloud);
  }

  void aim(const stub_of<verifier>& stub, const verifier& at, std::uint64_t incarnation) {
    caf::anon_send(stub, target_atom::value, std::uint32_t{0}, at, incarnation);
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
    listeners.push_back(me);
    if (!together)
      run();
    return log;
  }

  bool together = false;  ///< generate() only asks
  role_config part;
  std::vector<pipeline_part> parts;
  std::vector<stub_of<verifier>> part_stubs;
  std::vector<engine_actor> part_engines;
  engine_actor cloud, device;
  stub_of<engine> cloud_engine, device_engine;
  verifier_actor verify;
  stub_of<verifier> verifier_stub;
  drafter_actor draft;
  std::vector<sink> listeners;
};

/// The whole model in one shard, token by token: what every cut must give.
inline std::vector<token_id> expected(const shard_maker& make, std::uint32_t layers, const std::vector<token_id>& prompt,
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

inline std::vector<token_id> ids_of(const answer_log& log) {
  std::vector<token_id> out;
  for (auto& t : bodies<tokens>(log)) {
    CHECK(t.position == out.size());
    out.insert(out.end(), t.ids.begin(), t.ids.end());
  }
  return out;
}

inline std::unique_ptr<models::shard> toy(const std::vector<stage>& stages) {
  toy_options o;
  o.stages = stages;
  return std::make_unique<toy_shard>(o);
}

/// A reference shard that holds only `stages` of a fixture's folder.
inline shard_maker reference(const std::string& fixture, dtype compute) {
  auto dir = std::filesystem::path{VIRGA_SOURCE_DIR} / "tests/parity/fixtures" / fixture;
  auto folder = std::make_shared<models::hf::model_folder>(dir);
  return [folder, compute](const std::vector<stage>& stages) {
    models::shard_options o;
    o.compute = compute;
    for (auto& s : stages)
      if (s.kind == stage_kind::adapter)
        o.adapter = models::test::random_adapter(*folder, s.first, 5).load();
      else
        o.stages.push_back(s);
    return models::make_reference_shard(*folder, o);
  };
}

inline std::uint32_t layers_of(const std::string& fixture) {
  auto dir = std::filesystem::path{VIRGA_SOURCE_DIR} / "tests/parity/fixtures" / fixture;
  return models::hf::model_folder{dir}.config().num_hidden_layers;
}

} // namespace virga::testing
