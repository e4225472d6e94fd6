// What models/shard.hpp promises of every shard, as checks that each shard's test runs.
#pragma once

#include "models/sampler.hpp"
#include "tests/models/random_walk.hpp"
#include "tests/support/catch.hpp"

#include <cmath>

namespace virga::models::test {

/// embedding, layers 0-1, layers 2-3, head of the four-layer fixture.
inline std::vector<stage> four_stages() {
  return {{stage_kind::embedding, 0, 0}, {stage_kind::layers, 0, 2}, {stage_kind::layers, 2, 4}, {stage_kind::head, 0, 0}};
}

/// Bytes of one page of one layer of the fixture "gqa-untied".
inline std::uint64_t page_bytes(dtype t) { return 2 * 2 * 10 * 64 * size_of(t); }

inline void check_refusals(const shard_maker& make) {
  hf::model_folder folder(fixture("gqa-untied"));
  auto s = make(folder, {dtype::f32, 1u << 20, four_stages()});
  auto seq = s->open();
  auto good = feed(*s, seq, 0, 3, 0, {1, 2, 3});
  auto rows = run(*s, feed(*s, s->open(), 0, 1, 0, {1, 2})).rows;
  auto refused = [&](segment bad) {
    CHECK_THROWS_AS(run(*s, bad), bad_segment);
    CHECK(s->length(seq, 1) == 0);
  };
  auto with = [&](auto change) {
    auto bad = good;
    change(bad);
    refused(bad);
  };
  with([](segment& b) { b.seq = sequence{99}; });
  with([](segment& b) { b.seq = sequence{0}; });
  with([](segment& b) { b.last_stage = 4; });
  with([](segment& b) { b.first_stage = 3, b.last_stage = 1; });
  with([](segment& b) { b.tokens.clear(); });
  with([](segment& b) { b.tokens[1] = 101; });
  with([&](segment& b) { b.rows = rows; });
  with([](segment& b) { b.first_stage = 1; });
  with([](segment& b) { b.want.rows = rows_wanted::last; });
  with([](segment& b) { b.want.choose.temperature = NAN; });
  with([](segment& b) { b.tokens.assign(513, 1); });
  with([](segment& b) { b.base = UINT64_MAX; });
  auto middle = feed(*s, seq, 2, 2, 0, {}, rows);
  auto with_rows = [&](auto change) {
    auto bad = middle;
    change(bad);
    refused(bad);
  };
  with_rows([](segment& b) { b.rows.cols = 47; });
  with_rows([](segment& b) { b.rows.rows = 3; });
  with_rows([](segment& b) { b.rows.rows = 0; });
  with_rows([](segment& b) { b.rows.type = dtype::f64; });
  with_rows([](segment& b) { b.rows.data.pop_back(); });
  with_rows([](segment& b) { b.rows.data[3] = std::byte{0x7f}, b.rows.data[2] = std::byte{0x80}; });
  with_rows([](segment& b) { b.tokens = {1}; });
  with_rows([](segment& b) { b.want.tokens = rows_wanted::last; });
  CHECK_THROWS_AS(s->step(std::vector{good, good}), bad_segment);
  CHECK_THROWS_AS(s->length(sequence{99}, 0), bad_segment);
  CHECK_THROWS_AS(s->length(seq, 9), bad_segment);
  CHECK_THROWS_AS(s->fork(sequence{99}, 0), bad_segment);
  CHECK(s->step({}).empty());
  s->close(sequence{99});
  CHECK(run(*s, middle).rows.rows == 2);
}

inline void check_positions(const shard_maker& make) {
  hf::model_folder folder(fixture("gqa-untied"));
  auto s = make(folder, {dtype::f32, 1u << 20, four_stages()});
  auto seq = s->open();
  run(*s, feed(*s, seq, 0, 1, 0, {1, 2, 3}));
  CHECK(s->length(seq, 0) == 0);
  CHECK(s->length(seq, 1) == 3);
  CHECK(s->length(seq, 2) == 0);
  auto stale = [&](const segment& bad, std::uint64_t have) {
    try {
      run(*s, bad);
      FAIL("a stale base was taken");
    } catch (const stale_position& e) {
      CHECK(e.length == have);
    }
  };
  stale(feed(*s, seq, 0, 1, 2, {1}), 3);
  stale(feed(*s, seq, 0, 1, 4, {1}), 3);
  stale(feed(*s, seq, 0, 3, 3, {1}), 0);  // the second half of the model was left behind
  auto fresh = s->open();
  CHECK_THROWS_AS(s->step(std::vector{feed(*s, fresh, 0, 3, 0, {1}), feed(*s, seq, 0, 3, 3, {1})}), stale_position);
  CHECK(s->length(fresh, 1) == 0);
  CHECK_THROWS_AS(s->fork(seq, 1), stale_position);
  s->truncate(seq, 9);
  CHECK(s->length(seq, 1) == 3);
  s->truncate(seq, 1);
  CHECK(s->length(seq, 1) == 1);
  run(*s, feed(*s, seq, 0, 1, 1, {1}));
  CHECK(s->length(seq, 1) == 2);
}

inline void check_memory(const shard_maker& make) {
  hf::model_folder folder(fixture("gqa-untied"));
  auto page = page_bytes(dtype::f32);
  auto s = make(folder, {dtype::f32, 9 * page + 5, {}});
  CHECK(s->kv_bytes_limit() == 9 * page + 5);
  CHECK(s->kv_bytes_for(0) == 0);
  CHECK(s->kv_bytes_for(1) == 4 * page);
  CHECK(s->kv_bytes_for(65) == 8 * page);
  auto a = s->open(), b = s->open();
  run(*s, feed(*s, a, 0, 2, 0, std::vector<token_id>(64, 3)));
  CHECK(s->kv_bytes() == 4 * page);
  auto two = std::vector{feed(*s, a, 0, 2, 64, {1}), feed(*s, b, 0, 2, 0, {1})};
  try {
    s->step(two);
    FAIL("more pages than there are");
  } catch (const out_of_pages& e) {
    CHECK(e.bytes_free == 5 * page + 5);
  }
  CHECK(s->kv_bytes() == 4 * page);
  CHECK(s->length(a, 1) == 64);
  CHECK(s->length(b, 1) == 0);
  auto child = s->fork(a, 64);
  CHECK(s->kv_bytes() == 4 * page);
  run(*s, feed(*s, child, 0, 2, 64, {1}));
  CHECK(s->kv_bytes() == 8 * page);
  s->close(a);
  CHECK(s->kv_bytes() == 8 * page);
  s->truncate(child, 64);
  CHECK(s->kv_bytes() == 4 * page);
  auto half = s->fork(child, 10);
  run(*s, feed(*s, half, 0, 2, 10, {1}));
  CHECK(s->kv_bytes() == 8 * page);
  s->close(half);
  s->close(child);
  s->close(child);
  CHECK(s->kv_bytes() == 0);
}

/// What leaves one shard and enters another: both go on with the same bits.
inline void check_moves(const shard_maker& make, const hf::model_folder& folder, const shard_options& options,
                        std::uint64_t seed) {
  std::mt19937_64 random(seed);
  auto here = make(folder, options), there = make(folder, options);
  auto last = static_cast<std::uint32_t>(here->info().stages.size() - 1);
  std::vector<token_id> text(200);
  for (auto& id : text)
    id = static_cast<token_id>(random() % folder.config().vocab_size);
  auto part = [&](std::uint64_t first, std::uint64_t end) {
    return std::vector<token_id>(text.begin() + static_cast<std::ptrdiff_t>(first),
                                 text.begin() + static_cast<std::ptrdiff_t>(end));
  };
  auto a = here->open(), other = there->open(), b = there->open();
  const auto n = 1 + random() % 150;
  run(*here, feed(*here, a, 0, last, 0, part(0, n)));
  run(*there, feed(*there, other, 0, last, 0, part(100, 180)));  // so that pages have other numbers
  move_kv(*here, a, *there, b, 0, n, random);
  for (std::uint32_t i = 0; i <= last; ++i)
    CHECK(here->length(a, i) == there->length(b, i));
  for (auto at = n; at < text.size();) {
    auto end = std::min<std::uint64_t>(text.size(), at + 1 + random() % 30);
    auto stays = run(*here, feed(*here, a, 0, last, at, part(at, end))).logits.data;
    CHECK(stays == run(*there, feed(*there, b, 0, last, at, part(at, end))).logits.data);
    at = end;
  }
  there->close(other);
  CHECK(here->kv_bytes() == there->kv_bytes());
}

inline void check_move_refusals(const shard_maker& make, shard_options options) {
  hf::model_folder folder(fixture("gqa-untied"));
  options.stages = four_stages();
  auto page = make(folder, options)->kv_bytes_for(1) / 4;
  options.kv_bytes = 14 * page;
  auto s = make(folder, options);
  const auto bytes = s->info().kv == dtype::i8_rows;
  auto a = s->open(), b = s->open();
  run(*s, feed(*s, a, 0, 3, 0, std::vector<token_id>(100, 7)));
  const auto good = s->export_kv(a, 1, 0, 70);
  REQUIRE(good.size() == 2);
  CHECK(good[1].layer == 1);
  CHECK(good[1].rows.rows == (bytes ? 70 * 4 : 70));
  CHECK(good[1].rows.type == s->info().kv);
  auto untouched = [&] { return s->kv_bytes() == 8 * page && s->length(b, 1) == 0 && s->length(b, 2) == 0; };
  auto refused = [&](auto change) {
    auto bad = good;
    change(bad);
    CHECK_THROWS_AS(s->import_kv(b, bad), bad_segment);
    CHECK(untouched());
  };
  refused([](auto& x) { x[0].stage = 0; });
  refused([](auto& x) { x[0].stage = 9; });
  refused([](auto& x) { x[1].layer = 2; });
  refused([](auto& x) { x[1].layer = 0; });
  refused([](auto& x) { x.erase(x.begin()); });
  refused([](auto& x) { x.pop_back(); });
  refused([](auto& x) { x[1].stage = 2; });
  refused([&](auto& x) { x[1] = s->export_kv(a, 1, 0, 60)[1]; });
  refused([](auto& x) { x[0].rows.type = x[0].rows.type == dtype::f32 ? dtype::bf16 : dtype::f32; });
  refused([](auto& x) { ++x[0].rows.cols; });
  refused([](auto& x) { ++x[0].rows.rows; });
  refused([](auto& x) { x[0].rows = {x[0].rows.type, 0, x[0].rows.cols, {}}; });
  refused([](auto& x) { x[0].rows.data.pop_back(); });
  refused([](auto& x) { x[0].base = UINT64_MAX; });
  refused([&](auto& x) {
    const auto size = bytes ? sizeof(float) : size_of(x[0].rows.type);  // their scales come first
    std::fill_n(x[0].rows.data.begin() + static_cast<std::ptrdiff_t>(5 * size), size, std::byte{0xff});
  });
  auto stale = good;
  stale[0].base = stale[1].base = 1;
  CHECK_THROWS_AS(s->import_kv(b, stale), stale_position);
  CHECK_THROWS_AS(s->import_kv(a, good), stale_position);
  CHECK_THROWS_AS(s->import_kv(sequence{99}, good), bad_segment);
  CHECK_THROWS_AS(s->export_kv(sequence{99}, 1, 0, 1), bad_segment);
  CHECK_THROWS_AS(s->export_kv(a, 1, 50, 51), stale_position);
  CHECK_THROWS_AS(s->export_kv(a, 0, 0, 1), bad_segment);
  CHECK_THROWS_AS(s->export_kv(a, 7, 0, 1), bad_segment);
  auto both = good;
  for (auto& x : s->export_kv(a, 2, 0, 70))
    both.push_back(x);
  CHECK_THROWS_AS(s->import_kv(b, both), out_of_pages);  // eight pages, and there are six
  CHECK(untouched());
  s->import_kv(b, good);
  CHECK(s->length(b, 1) == 70);
  CHECK(s->length(b, 2) == 0);
  CHECK(s->kv_bytes() == 12 * page);
  for (std::uint32_t layer = 0; layer < 2; ++layer)
    CHECK(s->export_kv(b, 1, 0, 70)[layer].rows.data == good[layer].rows.data);
}

/// Segments that run through different stages of one shard, each alone and all in one step.
inline void check_mixed_stages(const shard_maker& make, double tolerance) {
  hf::model_folder folder(fixture("gqa-untied"));
  auto rows = [&](shard& s, std::uint32_t stage) {
    return run(s, feed(s, s.open(), 0, stage, 0, {4, 8, 15, 16})).rows;
  };
  auto batch_of = [&](shard& s) {
    return std::vector{feed(s, s.open(), 0, 3, 0, {1, 2, 3}),        feed(s, s.open(), 2, 2, 0, {}, rows(s, 1)),
                       feed(s, s.open(), 0, 1, 0, {9}),              feed(s, s.open(), 3, 3, 0, {}, rows(s, 2)),
                       feed(s, s.open(), 0, 3, 0, {5}),              feed(s, s.open(), 0, 0, 0, {7, 7}),
                       feed(s, s.open(), 1, 2, 0, {}, rows(s, 0))};
  };
  auto s = make(folder, {dtype::f64, 1u << 20, four_stages()});
  auto together = s->step(batch_of(*s));
  auto alone = batch_of(*s);
  for (std::size_t i = 0; i < alone.size(); ++i) {
    auto one = run(*s, alone[i]);
    auto a = numbers(one.rows), b = numbers(together[i].rows), c = numbers(one.logits), d = numbers(together[i].logits);
    a.insert(a.end(), c.begin(), c.end());
    b.insert(b.end(), d.begin(), d.end());
    REQUIRE(a.size() == b.size());
    CHECK_FALSE(a.empty());
    for (std::size_t k = 0; k < a.size(); ++k)
      if (std::abs(a[k] - b[k]) > tolerance)
        FAIL("segment " << i << " differs in a batch: " << a[k] << " and " << b[k]);
  }
}

/// A folder whose logits overflow: steps fail, and the cache is as before.
inline void check_nan(const shard_maker& make) {
  scratch dir;
  fs::copy(fixture("gqa-untied"), dir / "model");
  hf::model_folder good(fixture("gqa-untied"));
  std::vector<hf::tensor_view> tensors;
  std::vector<float> head(101 * 48, 3e38f);
  for (auto& [name, t] : good.weights())
    tensors.push_back(name == "lm_head.weight" ? hf::tensor_view{name, dtype::f32, t.shape, std::as_bytes(std::span(head))}
                                               : t);
  hf::write_safetensors(dir / "model/model.safetensors", tensors);
  hf::model_folder folder(dir / "model");
  auto s = make(folder, {dtype::f32, 1u << 20, {}});
  auto seq = s->open();
  CHECK_THROWS_AS(run(*s, feed(*s, seq, 0, 2, 0, {1, 2, 3})), bad_segment);
  CHECK(s->length(seq, 1) == 0);
  CHECK(s->kv_bytes() == 0);
  CHECK(run(*s, feed(*s, seq, 0, 1, 0, {1, 2, 3})).rows.rows == 3);
}

inline void check_wants(const shard_maker& make) {
  hf::model_folder folder(fixture("mha-tied"));
  auto s = make(folder, {dtype::f64, 1u << 20, {}});
  auto ask = [&](rows_wanted logits, rows_wanted tokens, std::uint32_t top) {
    auto one = feed(*s, s->open(), 0, 2, 0, {1, 5, 9});
    one.want.logits = logits, one.want.tokens = tokens, one.want.top_n = top;
    one.want.choose = {5, 17};  // hot, so that a wrong position shows
    return run(*s, one);
  };
  auto all = ask(rows_wanted::all, rows_wanted::all, 4);
  CHECK(all.logits.rows == 3);
  CHECK(all.logits.cols == 96);
  CHECK(all.rows.rows == 0);
  REQUIRE(all.choices.size() == 3);
  CHECK(all.choices[0].top.size() == 4);
  auto last = ask(rows_wanted::none, rows_wanted::last, 0);
  REQUIRE(last.choices.size() == 1);
  CHECK(last.logits.rows == 0);
  CHECK(last.choices[0].id == all.choices[2].id);
  CHECK(last.choices[0].logprob == Approx(all.choices[2].logprob));
  auto mixed = ask(rows_wanted::all, rows_wanted::last, 0);
  CHECK(mixed.logits.rows == 3);
  REQUIRE(mixed.choices.size() == 1);
  CHECK(mixed.choices[0].id == all.choices[2].id);
  auto logits = numbers(all.logits);
  for (std::size_t i = 0; i < 3; ++i) {
    auto row = std::span<const double>(logits).subspan(i * 96, 96);
    CHECK(choose_token(row, {5, 17}, i + 1, 0).id == all.choices[i].id);
  }
  CHECK(ask(rows_wanted::none, rows_wanted::none, 0).choices.empty());
  auto looking = feed(*s, s->open(), 0, 2, 0, {1, 5, 9});
  looking.want.logits = looking.want.tokens = rows_wanted::all;
  looking.want.choose.repetition_penalty = 1.3;
  looking.want.choose.frequency_penalty = 2;
  CHECK_THROWS_AS(run(*s, looking), bad_segment);  // it has nothing to look back at
  looking.want.context = {1, 5, 9};
  looking.want.prompt_tokens = 1;
  auto looked = run(*s, looking);
  for (std::size_t i = 0; i < 3; ++i) {
    auto row = std::span<const double>(logits).subspan(i * 96, 96);
    auto seen = std::span<const token_id>(looking.want.context).first(i + 1);
    CHECK(choose_token(row, looking.want.choose, i + 1, 0, {seen, 1}).id == looked.choices.at(i).id);
  }
  auto one = feed(*s, s->open(), 0, 1, 0, {1, 5, 9});
  one.want.rows = rows_wanted::last;
  auto row = run(*s, one).rows;
  CHECK(row.rows == 1);
  CHECK(row.cols == 32);
  CHECK(row.type == dtype::f64);
}

/// How far a row is from the oracle's, relative to the oracle's largest logit.
inline double distance(std::span<const double> got, std::span<const double> expected) {
  double worst = 0, scale = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(got[i] - expected[i]));
    scale = std::max(scale, std::abs(expected[i]));
  }
  return worst / scale;
}

/// A random walk beside the reference. @param f32_bound of the distance in f32 @returns the largest distance
inline double check_walk(const shard_maker& make, const hf::model_folder& folder, dtype compute, std::uint64_t seed, int steps,
                         double f32_bound) {
  random_walk w(folder, compute, make, make_reference_shard, seed);
  INFO(to_string(compute) << " seed " << seed << ": " << w.stages());
  double worst = 0;
  std::size_t rows = 0, flips = 0;
  w.walk(steps, [&](auto got, auto expected) {
    ++rows;
    worst = std::max(worst, distance(got, expected));
    bool clear = margin({expected.begin(), expected.end()}) > (compute == dtype::f64 ? 1e-9 : 1e-3);
    flips += clear && argmax(got) != argmax(expected);
  });
  CHECK(rows > 50);
  CHECK(worst < (compute == dtype::f64 ? 1e-12 : f32_bound));
  CHECK(flips == 0);
  CHECK(w.kv_bytes() == 0);
  return worst;
}

} // namespace virga::models::test
