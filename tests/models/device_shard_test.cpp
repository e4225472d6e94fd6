// The shard of cuda:N on the CPU: everything but the graphs. What a graph would repeat is made once for each shape here too, and
// given later steps' numbers, so that work that holds anything of its first step shows.
#include "models/torch/device_shard.hpp"
#include "tests/models/agreement.hpp"

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;

namespace {

std::unique_ptr<shard> on_cpu(const hf::model_folder& f, const shard_options& o) { return make_device_shard(f, o); }

std::unique_ptr<shard> plain_operators(const hf::model_folder& f, shard_options o) {
  o.libtorch_only = true;
  return make_torch_shard(f, o);
}

} // namespace

TEST_CASE("segments that can never run are refused and change nothing (device)", "[models][device]") { check_refusals(on_cpu); }

TEST_CASE("a base that is not the length of the cache is stale (device)", "[models][device]") { check_positions(on_cpu); }

TEST_CASE("every page is counted, bounded and given back (device)", "[models][device]") { check_memory(on_cpu); }

TEST_CASE("segments through different stages share a step (device)", "[models][device]") { check_mixed_stages(on_cpu, 1e-12); }

TEST_CASE("a model that computes NaN says so and keeps its cache (device)", "[models][device]") { check_nan(on_cpu); }

TEST_CASE("a segment brings back what it wants and no more (device)", "[models][device]") { check_wants(on_cpu); }

TEST_CASE("cuts, chunks, forks, truncations and ragged batches stay at the reference (device)", "[models][device]") {
  auto name = GENERATE("gqa-untied", "mha-tied");
  auto compute = GENERATE(dtype::f32, dtype::f64);
  hf::model_folder folder(fixture(name));
  device_counts counts;
  auto make = [&](auto& f, auto& o) { return make_device_shard(f, o, true, &counts); };
  double worst = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed)
    worst = std::max(worst, check_walk(make, folder, compute, seed, 40, 1e-5));
  CHECK(counts.repeated > 20);
  CHECK(counts.ragged > 20);
  CHECK(counts.graphs == 0);
  std::cout << name << " " << to_string(compute) << ": device shard within " << worst << " of the reference, " << counts.repeated
            << " steps of a shape for many, " << counts.ragged << " of their own\n";
}

TEST_CASE("the options of every family stay at the reference (device)", "[models][device]") {
  auto compute = GENERATE(dtype::f32, dtype::f64);
  double worst = 0;
  for (std::uint64_t seed = 101; seed <= 124; ++seed) {
    random_folder made(seed);
    INFO(made.text());
    worst = std::max(worst, check_walk(on_cpu, hf::model_folder(made.dir()), compute, seed, 25, 5e-5));
  }
  std::cout << "random folders " << to_string(compute) << ": device shard within " << worst << " of the reference\n";
}

TEST_CASE("steps of one shape use each step's own numbers", "[models][device]") {
  hf::model_folder folder(fixture("gqa-untied"));
  device_counts counts;
  auto s = make_device_shard(folder, {dtype::f64, 16u << 20, {}}, true, &counts);
  auto oracle = make_reference_shard(folder, {dtype::f64, 16u << 20, {}});
  std::mt19937 random(5);
  std::vector<std::vector<token_id>> texts;
  std::vector<std::vector<double>> expected;
  std::vector<sequence> seq;
  for (int i = 0; i < 3; ++i) {
    texts.push_back(random_ids(folder, random, 140));
    expected.push_back(logits_in_pieces(*oracle, texts.back(), {140}));
    seq.push_back(s->open());
  }
  auto vocab = folder.config().vocab_size;
  for (std::uint64_t position = 0; position < 140; ++position) {
    std::vector<segment> batch;
    for (std::size_t i = 0; i < seq.size(); ++i)
      batch.push_back(feed(*s, seq[i], 0, 2, position, {texts[i][position]}));
    auto results = s->step(batch);
    for (std::size_t i = 0; i < seq.size(); ++i)
      REQUIRE(distance(numbers(results[i].logits), std::span(expected[i]).subspan(position * vocab, vocab)) < 1e-12);
  }
  CHECK(counts.repeated == 140);
  CHECK(counts.ragged == 0);
}

TEST_CASE("keys and values can be read, and are the reference's (device)", "[models][device]") {
  hf::model_folder folder(fixture("gqa-untied"));
  std::mt19937 random(6);
  auto ids = random_ids(folder, random, 70);
  std::vector<std::unique_ptr<shard>> both;
  both.push_back(on_cpu(folder, {dtype::f64, 16u << 20, {}}));
  both.push_back(make_reference_shard(folder, {dtype::f64, 16u << 20, {}}));
  std::vector<sequence> seq;
  for (auto& s : both) {
    seq.push_back(s->open());
    run(*s, feed(*s, seq.back(), 0, 2, 0, ids));
  }
  for (std::uint32_t layer = 0; layer < folder.config().num_hidden_layers; ++layer)
    CHECK(distance(numbers(both[0]->kv_rows(seq[0], 1, layer, 60, 10)), numbers(both[1]->kv_rows(seq[1], 1, layer, 60, 10))) < 1e-12);
}

TEST_CASE("a prompt longer than one block of queries is the same as in pieces (device)", "[models][device]") {
  hf::model_folder folder(fixture("mha-tied"));
  auto s = on_cpu(folder, {dtype::f64, 16u << 20, {}});
  std::mt19937 random(7);
  auto ids = random_ids(folder, random, 512);
  CHECK(distance(logits_in_pieces(*s, ids, {100, 7, 1}), logits_in_pieces(*s, ids, {512})) < 1e-12);
}

TEST_CASE("in bf16 the device's shard agrees with both ways of the CPU", "[models][device]") {
  auto plain = GENERATE(true, false);
  auto one = plain ? shard_maker(plain_operators) : shard_maker(make_torch_shard);
  auto found = agreement_of(one, on_cpu, dtype::bf16, 501);
  found.print(plain ? "bf16, device's shard beside libtorch's operators" : "bf16, device's shard beside our kernels");
  CHECK(found.clear > 500);
  CHECK(found.clear_flips < found.clear / 20);
}

namespace {

/// A folder in which this token has values beyond f32 in the first layer, and no other token has.
void write_overflowing(const fs::path& dir, token_id token) {
  fs::copy(fixture("gqa-untied"), dir);
  hf::model_folder good(fixture("gqa-untied"));
  constexpr std::size_t hidden = 48;
  std::map<std::string, std::vector<float>> changed{{"model.embed_tokens.weight", {}}, {"model.layers.0.self_attn.v_proj.weight", {}}};
  std::vector<hf::tensor_view> tensors;
  for (auto& [name, t] : good.weights()) {
    tensors.push_back(t);
    auto at = changed.find(name);
    if (at == changed.end())
      continue;
    for (auto v : hf::to_reals<double>(t))
      at->second.push_back(static_cast<float>(v));
    bool table = name == "model.embed_tokens.weight";
    for (std::size_t row = 0; row < t.shape[0]; ++row)
      at->second[row * hidden] = table ? (row == token ? 1000.0f : 0.0f) : 3e38f;
    tensors.back() = {name, dtype::f32, t.shape, std::as_bytes(std::span(at->second))};
  }
  hf::write_safetensors(dir / "model.safetensors", tensors);
}

} // namespace

TEST_CASE("what was not finite in a failed step does not stay", "[models][device]") {
  scratch dir;
  write_overflowing(dir / "model", 7);
  hf::model_folder folder(dir / "model");
  auto s = on_cpu(folder, {dtype::f32, 1u << 20, {}});
  auto seq = s->open(), other = s->open();
  run(*s, feed(*s, seq, 0, 2, 0, {1, 2, 3}));
  CHECK_THROWS_AS(run(*s, feed(*s, seq, 0, 2, 3, {4, 7, 5})), bad_segment);
  CHECK_THROWS_AS(run(*s, feed(*s, other, 0, 2, 0, {7, 7, 7})), bad_segment);
  auto again = numbers(run(*s, feed(*s, seq, 0, 2, 3, {4})).logits);
  auto fresh = numbers(run(*s, feed(*s, other, 0, 2, 0, {1, 2, 3, 4})).logits);
  auto vocab = folder.config().vocab_size;
  CHECK(distance(again, std::span(fresh).subspan(3 * vocab, vocab)) < 1e-5);
}

TEST_CASE("the rows that fill a step up reach no other row", "[models][device]") {
  scratch dir;
  write_overflowing(dir / "model", 0);  // what fills up is token 0
  hf::model_folder folder(dir / "model");
  auto s = on_cpu(folder, {dtype::f32, 1u << 20, {}});
  auto alone = numbers(run(*s, feed(*s, s->open(), 0, 2, 0, {5})).logits);
  auto other = s->open();
  run(*s, feed(*s, other, 0, 2, 0, std::vector<token_id>(64, 3)));
  std::vector<segment> batch{feed(*s, other, 0, 2, 64, {1})};  // two pages: the others' second one is filled up too
  for (int i = 0; i < 8; ++i)  // nine rows become twelve
    batch.push_back(feed(*s, s->open(), 0, 2, 0, {5}));
  auto results = s->step(batch);
  for (std::size_t i = 1; i < batch.size(); ++i)
    CHECK(distance(numbers(results[i].logits), alone) < 1e-5);
}

TEST_CASE("a device that is not there is refused with the cure", "[models][device]") {
  hf::model_folder folder(fixture("mha-tied"));
  shard_options o;
  for (auto name : {"", "gpu", "cuda", "cuda:", "cuda:x", "cuda:-1", "cuda:0 ", "cuda:1000"}) {
    o.device = name;
    CHECK(complaint([&] { make_torch_shard(folder, o); }) == "device `" + o.device + "`: known are cpu and cuda:N, N counted from 0");
  }
  o.device = "cuda:120";
  auto said = complaint([&] { make_torch_shard(folder, o); });
  CHECK(said.starts_with("device cuda:120: "));
  CHECK((said.find("make cuda") != std::string::npos || said.find("this machine has") != std::string::npos));
  CHECK(complaint([&] { free_memory_on(o.device); }) == said);
  o.compute = dtype::int8;
  CHECK(complaint([&] { make_torch_shard(folder, o); }).find("take dtype bf16, or device cpu") != std::string::npos);
  CHECK(free_memory_on("cpu") > 0);
}
