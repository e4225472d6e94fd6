#include "models/kv.hpp"
#include "tests/models/random_folder.hpp"
#include "tests/models/shard_contract.hpp"

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;

TEST_CASE("segments that can never run are refused and change nothing", "[models][reference]") {
  check_refusals(make_reference_shard);
}

TEST_CASE("a base that is not the length of the cache is stale", "[models][reference]") {
  check_positions(make_reference_shard);
}

TEST_CASE("every page is counted, bounded and given back", "[models][reference]") { check_memory(make_reference_shard); }

TEST_CASE("segments through different stages share a step", "[models][reference]") {
  check_mixed_stages(make_reference_shard, 0);
}

TEST_CASE("a model that computes NaN says so and keeps its cache", "[models][reference]") {
  check_nan(make_reference_shard);
}

TEST_CASE("a segment brings back what it wants and no more", "[models][reference]") { check_wants(make_reference_shard); }

TEST_CASE("keys and values that do not fit are refused and change nothing", "[models][reference]") {
  check_move_refusals(make_reference_shard, {.compute = GENERATE(dtype::f32, dtype::f64)});
}

TEST_CASE("the reference keeps keys and values as it computes", "[models][reference]") {
  hf::model_folder folder(fixture("mha-tied"));
  auto refusal = [&](dtype kv) {
    return complaint([&] { make_reference_shard(folder, {.compute = dtype::f32, .kv = kv}); });
  };
  CHECK(refusal(dtype::f32).empty());
  CHECK(refusal(dtype::i8_rows).find("not in i8_rows") != std::string::npos);
}

TEST_CASE("keys and values go on in another shard with the same bits", "[models][reference]") {
  auto compute = GENERATE(dtype::f32, dtype::f64);
  for (std::uint64_t seed = 51; seed <= 58; ++seed) {
    random_folder made(seed);
    INFO(made.text());
    check_moves(make_reference_shard, hf::model_folder(made.dir()), {.compute = compute}, seed);
  }
}

TEST_CASE("cuts, chunks, forks, truncations and ragged batches change no bit", "[models][reference]") {
  auto name = GENERATE("gqa-untied", "mha-tied");
  auto compute = GENERATE(dtype::f32, dtype::f64);
  hf::model_folder folder(fixture(name));
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    random_walk w(folder, compute, make_reference_shard, make_reference_shard, seed);
    INFO(name << " seed " << seed << ": " << w.stages());
    std::size_t rows = 0, wrong = 0;
    w.walk(40, [&](auto got, auto expected) {
      ++rows;
      wrong += !std::equal(got.begin(), got.end(), expected.begin(), expected.end());
    });
    CHECK(rows > 50);
    CHECK(wrong == 0);
    CHECK(w.kv_bytes() == 0);
  }
}

TEST_CASE("no bit changes with the options of any family either", "[models][reference]") {
  auto compute = GENERATE(dtype::f32, dtype::f64);
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    random_folder made(seed);
    hf::model_folder folder(made.dir());
    random_walk w(folder, compute, make_reference_shard, make_reference_shard, seed);
    INFO(made.text() << " seed " << seed << ": " << w.stages());
    std::size_t wrong = 0;
    w.walk(25, [&](auto got, auto expected) {
      wrong += !std::equal(got.begin(), got.end(), expected.begin(), expected.end());
    });
    CHECK(wrong == 0);
    CHECK(w.kv_bytes() == 0);
  }
}

TEST_CASE("stages that the folder does not hold are refused", "[models][reference]") {
  hf::model_folder folder(fixture("mha-tied"));
  auto make = [&](std::vector<stage> stages) {
    return complaint([&] { make_reference_shard(folder, {dtype::f32, 1u << 20, stages}); });
  };
  CHECK_FALSE(make({{stage_kind::layers, 1, 4}}).empty());
  CHECK_FALSE(make({{stage_kind::layers, 1, 1}}).empty());
  CHECK_FALSE(make({{stage_kind::head, 0, 0}, {stage_kind::embedding, 0, 0}}).empty());
  CHECK_FALSE(make({{stage_kind::layers, 1, 2}, {stage_kind::layers, 0, 1}}).empty());
  CHECK(make({{stage_kind::layers, 1, 2}}).empty());
  CHECK_FALSE(complaint([&] { make_reference_shard(folder, {dtype::bf16, 1u << 20, {}}); }).empty());
}

TEST_CASE("two sequences that leave a shared page in one step do not see each other", "[models][kv]") {
  kv_table kv(1, 100, 1000);
  auto a = kv.open();
  std::vector<kv_growth> grow{{a, 0, 1, 10}};
  CHECK(kv.reserve(grow).empty());
  kv.commit(grow);
  auto b = kv.fork(a, 7);
  CHECK(kv.bytes() == 100);
  grow = {{a, 0, 1, 1}, {b, 0, 1, 1}};
  auto copies = kv.reserve(grow);
  REQUIRE(copies.size() == 1);  // the second one owns the old page alone
  CHECK(copies[0].positions == 10);
  kv.commit(grow);
  CHECK(kv.lane(a, 0).pages != kv.lane(b, 0).pages);
  CHECK(kv.lane(a, 0).length == 11);
  CHECK(kv.lane(b, 0).length == 8);
  CHECK(kv.bytes() == 200);
}

TEST_CASE("a step that failed gives its pages back", "[models][kv]") {
  kv_table kv(2, 100, 1000);
  auto a = kv.open();
  std::vector<kv_growth> grow{{a, 0, 2, 70}};
  kv.reserve(grow);
  CHECK(kv.bytes() == 400);
  kv.abandon(grow);
  CHECK(kv.bytes() == 0);
  CHECK(kv.lane(a, 1).length == 0);
}
