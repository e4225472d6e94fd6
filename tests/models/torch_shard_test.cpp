#include "tests/models/random_folder.hpp"
#include "tests/models/shard_contract.hpp"

#include <iostream>

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;

namespace {

std::unique_ptr<shard> whole(const hf::model_folder& f, dtype compute, std::vector<stage> stages = {}) {
  return make_torch_shard(f, {compute, 16u << 20, std::move(stages)});
}

} // namespace

TEST_CASE("segments that can never run are refused and change nothing (torch)", "[models][torch]") {
  check_refusals(make_torch_shard);
}

TEST_CASE("a base that is not the length of the cache is stale (torch)", "[models][torch]") {
  check_positions(make_torch_shard);
}

TEST_CASE("every page is counted, bounded and given back (torch)", "[models][torch]") { check_memory(make_torch_shard); }

TEST_CASE("keys and values that do not fit are refused and change nothing (torch)", "[models][torch]") {
  check_move_refusals(make_torch_shard, {.compute = GENERATE(dtype::f32, dtype::f64, dtype::bf16, dtype::int4)});
  check_move_refusals(make_torch_shard, {.compute = dtype::int8, .kv = GENERATE(dtype::f32, dtype::i8_rows)});
}

TEST_CASE("keys and values go on in another shard with the same bits (torch)", "[models][torch]") {
  auto compute = GENERATE(dtype::f64, dtype::f32, dtype::bf16, dtype::int8, dtype::int4);
  auto libtorch_only = GENERATE(false, true);
  CAPTURE(to_string(compute), libtorch_only);
  for (std::uint64_t seed = 61; seed <= 66; ++seed) {
    random_folder made(seed);
    INFO(made.text());
    check_moves(make_torch_shard, hf::model_folder(made.dir()), {.compute = compute, .libtorch_only = libtorch_only},
                seed);
  }
}

TEST_CASE("keys and values in another dtype than the weights' go on in another shard too (torch)", "[models][torch]") {
  auto kv = GENERATE(dtype::f32, dtype::bf16, dtype::i8_rows);
  auto compute = GENERATE(dtype::f32, dtype::int8, dtype::int4);
  CAPTURE(to_string(compute), to_string(kv));
  for (std::uint64_t seed = 71; seed <= 74; ++seed) {
    random_folder made(seed);
    INFO(made.text());
    check_moves(make_torch_shard, hf::model_folder(made.dir()), {.compute = compute, .kv = kv}, seed);
  }
}

TEST_CASE("keys and values are kept in what there is a way for (torch)", "[models][torch]") {
  hf::model_folder folder(fixture("mha-tied"));
  auto refusal = [&](dtype compute, dtype kv, bool libtorch_only) {
    return complaint([&] { make_torch_shard(folder, {.compute = compute, .libtorch_only = libtorch_only, .kv = kv}); });
  };
  CHECK(refusal(dtype::f64, dtype::f64, false).empty());
  CHECK(refusal(dtype::f64, dtype::f32, false).find("keeps keys and values in f64") != std::string::npos);
  CHECK(refusal(dtype::f32, dtype::f64, false).find("not in f64") != std::string::npos);
  CHECK(refusal(dtype::bf16, dtype::f32, true).empty());
  CHECK(refusal(dtype::bf16, dtype::i8_rows, true).find("need our own kernels") != std::string::npos);
  CHECK(refusal(dtype::int4, dtype::i8_rows, false).empty());
}

TEST_CASE("segments through different stages share a step (torch)", "[models][torch]") {
  check_mixed_stages(make_torch_shard, 1e-12);
}

TEST_CASE("a model that computes NaN says so and keeps its cache (torch)", "[models][torch]") {
  check_nan(make_torch_shard);
}

TEST_CASE("a segment brings back what it wants and no more (torch)", "[models][torch]") { check_wants(make_torch_shard); }

TEST_CASE("cuts, chunks, forks, truncations and ragged batches stay at the reference", "[models][torch]") {
  auto name = GENERATE("gqa-untied", "mha-tied");
  auto compute = GENERATE(dtype::f32, dtype::f64);
  hf::model_folder folder(fixture(name));
  double worst = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed)
    worst = std::max(worst, check_walk(make_torch_shard, folder, compute, seed, 40, 1e-5));
  std::cout << name << " " << to_string(compute) << ": torch within " << worst << " of the reference\n";
}

TEST_CASE("the options of every family stay at the reference", "[models][torch]") {
  auto compute = GENERATE(dtype::f32, dtype::f64);
  double worst = 0;
  for (std::uint64_t seed = 101; seed <= 124; ++seed) {
    random_folder made(seed);
    INFO(made.text());
    worst = std::max(worst, check_walk(make_torch_shard, hf::model_folder(made.dir()), compute, seed, 25, 5e-5));
  }
  std::cout << "random folders " << to_string(compute) << ": torch within " << worst << " of the reference\n";
}

TEST_CASE("matrices so large that they are packed stay at the reference", "[models][torch]") {
  auto compute = GENERATE(dtype::f32, dtype::f64);
  double worst = 0;
  for (std::uint64_t seed = 201, large = 0; large < 4; ++seed) {
    random_folder made(seed, 8'000);
    INFO(made.text());
    hf::model_folder folder(made.dir());
    if (folder.config().hidden_size * folder.config().intermediate_size < 1 << 18)
      continue;
    ++large;
    worst = std::max(worst, check_walk(make_torch_shard, folder, compute, seed, 20, 5e-5));
  }
  std::cout << "large matrices " << to_string(compute) << ": torch within " << worst << " of the reference\n";
}

TEST_CASE("rows that leave a stage as bytes and come back change no bit", "[models][torch]") {
  hf::model_folder folder(fixture("gqa-untied"));
  auto compute = GENERATE(dtype::f32, dtype::f64);
  auto one = whole(folder, compute);
  std::vector<std::unique_ptr<shard>> parts;
  for (auto& s : {stage{stage_kind::embedding, 0, 0}, stage{stage_kind::layers, 0, 1}, stage{stage_kind::layers, 1, 4},
                  stage{stage_kind::head, 0, 0}})
    parts.push_back(whole(folder, compute, {s}));
  std::vector<sequence> seq;
  for (auto& p : parts)
    seq.push_back(p->open());
  auto own = one->open();
  std::uint64_t base = 0;
  for (auto ids : {std::vector<token_id>(70, 5), std::vector<token_id>{9}, std::vector<token_id>{7, 3, 1}}) {
    auto expected = run(*one, feed(*one, own, 0, 2, base, ids)).logits.data;
    segment_result r;
    for (std::size_t i = 0; i < parts.size(); ++i)
      r = run(*parts[i], feed(*parts[i], seq[i], 0, 0, base, i == 0 ? ids : std::vector<token_id>{}, r.rows));
    CHECK(r.logits.data == expected);
    base += ids.size();
  }
}

TEST_CASE("keys and values can be read, and are the reference's", "[models][torch]") {
  hf::model_folder folder(fixture("gqa-untied"));
  std::vector<token_id> ids;
  for (token_id i = 0; i < 70; ++i)
    ids.push_back(i % 90);
  std::vector<std::unique_ptr<shard>> both;
  both.push_back(whole(folder, dtype::f64));
  both.push_back(make_reference_shard(folder, {dtype::f64, 16u << 20, {}}));
  std::vector<sequence> seq;
  for (auto& s : both) {
    seq.push_back(s->open());
    run(*s, feed(*s, seq.back(), 0, 2, 0, ids));
  }
  for (std::uint32_t layer = 0; layer < folder.config().num_hidden_layers; ++layer) {
    auto rows_of = [&](std::size_t i) { return numbers(both[i]->kv_rows(seq[i], 1, layer, 60, 10)); };
    auto got = rows_of(0), expected = rows_of(1);
    REQUIRE(got.size() == 10u * 2 * folder.config().num_key_value_heads * folder.config().head_dim);
    CHECK(distance(got, expected) < 1e-12);
  }
  for (std::size_t i = 0; i < both.size(); ++i) {
    CHECK_THROWS_AS(both[i]->kv_rows(seq[i], 1, 0, 61, 10), stale_position);
    CHECK_THROWS_AS(both[i]->kv_rows(seq[i], 1, 99, 0, 1), bad_segment);
    CHECK_THROWS_AS(both[i]->kv_rows(seq[i], 0, 0, 0, 1), bad_segment);
  }
}

TEST_CASE("a prompt longer than one block of queries is the same as in pieces", "[models][torch]") {
  hf::model_folder folder(fixture("mha-tied"));
  auto s = whole(folder, dtype::f64);
  std::vector<token_id> ids;
  for (token_id i = 0; i < 512; ++i)
    ids.push_back(i * 7 % 96);
  auto long_rows = numbers(run(*s, feed(*s, s->open(), 0, 2, 0, ids)).logits);
  auto seq = s->open();
  for (std::uint64_t base = 0; base < ids.size(); base += 100) {
    auto end = std::min<std::size_t>(base + 100, ids.size());
    auto piece = numbers(run(*s, feed(*s, seq, 0, 2, base, {ids.begin() + base, ids.begin() + end})).logits);
    CHECK(distance(piece, std::span<const double>(long_rows).subspan(base * 96, piece.size())) < 1e-12);
  }
}

TEST_CASE("with our kernels what is wanted, and how much, changes no bit of it", "[models][torch]") {
  hf::model_folder folder(fixture("gqa-untied"));
  auto compute = GENERATE(dtype::f32, dtype::bf16, dtype::int8);
  CAPTURE(to_string(compute));
  auto s = whole(folder, compute);
  const std::vector<token_id> ids{5, 9, 7, 3, 1, 8, 2};
  using enum rows_wanted;
  auto asked = [&](rows_wanted rows, std::uint32_t stage, rows_wanted logits) {
    auto work = feed(*s, s->open(), 0, 2, 0, ids);
    work.want = {};
    work.want.rows = rows;
    work.want.rows_stage = stage;
    work.want.logits = logits;
    return work;
  };
  auto everything = run(*s, asked(all, 1, all));
  auto last_of = [](const tensor& t) {
    return std::vector<std::byte>(t.data.end() - static_cast<std::ptrdiff_t>(t.data.size() / t.rows), t.data.end());
  };
  const std::vector batch{asked(none, 0, last), asked(none, 0, none), asked(all, 1, none), asked(last, 1, all),
                          asked(all, 0, last)};
  auto got = s->step(batch);
  CHECK(got[0].logits.data == last_of(everything.logits));
  CHECK((got[0].rows.data.empty() && got[1].rows.data.empty() && got[1].logits.data.empty()));
  CHECK(got[2].rows.data == everything.rows.data);
  CHECK(got[3].rows.data == last_of(everything.rows));
  CHECK(got[3].logits.data == everything.logits.data);
  CHECK(got[4].rows.rows == ids.size());
  CHECK(got[4].logits.data == last_of(everything.logits));
  auto next = run(*s, feed(*s, s->open(), 0, 2, 0, {5, 9, 7, 3, 1, 8, 2, 4})).logits;
  s->step(std::array{asked(none, 0, none)});  // nobody wants a row: keys and values only
  for (auto& work : batch) {
    auto after = run(*s, feed(*s, work.seq, 0, 2, ids.size(), {4}));
    CHECK(last_of(after.logits) == last_of(next));
  }
}
