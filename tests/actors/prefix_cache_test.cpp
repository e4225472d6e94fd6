#include "actors/engine/prefix_cache.hpp"

#include "actors/engine/defaults.hpp"
#include "models/make_shard.hpp"
#include "tests/actors/prefix_walk.hpp"
#include "tests/models/random_folder.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/toy_shard.hpp"

using namespace virga;
using namespace virga::testing;

namespace {

using ids = std::vector<token_id>;

/// A cache over a toy shard, and texts for it.
struct cache_rig {
  toy_options toy;
  toy_shard shard{toy};
  prefix_cache cache{shard, 3};

  void keep(const ids& text) {
    auto seq = shard.open();
    models::segment s{seq, 0, 2, 0, text, {}, {}};
    shard.step(std::span(&s, 1));
    cache.keep(seq, text);
  }
  std::size_t open() const { return toy.controls->open_sequences; }
};

/// The first error that a walk saw; "" for none.
std::string failure_in(const prefix_walk::transcript& lines) {
  const auto it =
      std::ranges::find_if(lines, [](auto& line) { return line.find(prefix_walk::error_prefix) != std::string::npos; });
  return it == lines.end() ? "" : *it;
}

std::unique_ptr<models::shard> toy_with(std::uint64_t kv_positions) {
  toy_options toy;
  toy.kv_positions = kv_positions;
  return std::make_unique<toy_shard>(toy);
}

} // namespace

TEST_CASE("the text that agrees for longest is found", "[actors][prefix]") {
  cache_rig r;
  CHECK(r.cache.longest(ids{1, 2, 3}).length == 0);
  r.keep({1, 2, 3, 4, 5});
  r.keep({1, 2, 9, 9});
  r.keep({7, 7, 7});
  for (auto& [text, length] : std::vector<std::pair<ids, std::uint64_t>>{{{1, 2, 3, 4, 5, 6}, 5},
                                                                         {{1, 2, 3, 4, 5}, 5},
                                                                         {{1, 2, 3}, 3},
                                                                         {{1, 2, 8}, 2},
                                                                         {{1, 2, 9, 9, 9}, 4},
                                                                         {{0}, 0},
                                                                         {{8}, 0},
                                                                         {{}, 0},
                                                                         {{7, 7, 7, 7}, 3}}) {
    const auto found = r.cache.longest(text);
    CHECK(found.length == length);
    if (length > 0)
      CHECK(r.shard.length(found.seq, 1) >= length);
  }
}

TEST_CASE("a text that another begins with is not held beside it", "[actors][prefix]") {
  cache_rig r;
  r.keep({1, 2});  // not worth it
  CHECK(r.open() == 0);
  r.keep({1, 2, 3, 4});
  r.keep({1, 2, 3});
  r.keep({1, 2, 3, 4});
  CHECK(r.cache.size() == 1);
  r.keep({1, 2, 3, 5});
  r.keep({1, 2, 3, 4, 4});
  CHECK(r.cache.size() == 2);
  CHECK(r.open() == 2);
  CHECK(r.cache.longest(ids{1, 2, 3, 4, 4}).length == 5);
  CHECK(r.cache.bytes() == r.shard.kv_bytes());
}

TEST_CASE("the text unused for longest goes first, and its memory with it", "[actors][prefix]") {
  cache_rig r;
  r.keep({1, 1, 1});
  r.keep({2, 2, 2});
  r.keep({3, 3, 3});
  r.cache.touch(ids{1, 1, 1, 1});
  REQUIRE(r.cache.evict());
  CHECK(r.cache.longest(ids{2, 2, 2}).length == 0);
  REQUIRE(r.cache.evict());
  CHECK(r.cache.longest(ids{3, 3, 3}).length == 0);
  CHECK(r.cache.longest(ids{1, 1, 1}).length == 3);
  REQUIRE(r.cache.evict());
  CHECK_FALSE(r.cache.evict());
  CHECK(r.shard.kv_bytes() == 0);
  CHECK(r.cache.counts.evictions == 3);
}

TEST_CASE("no more texts are held than the bound says", "[actors][prefix]") {
  cache_rig r;
  for (token_id i = 0; i < engine_defaults::prefix_texts + 5; ++i)
    r.keep({i % 90, i / 90, 4});
  CHECK(r.cache.size() == engine_defaults::prefix_texts);
  CHECK(r.cache.longest(ids{0, 0, 4}).length < 3);
  CHECK(r.open() == engine_defaults::prefix_texts);
}

TEST_CASE("what a toy model says does not depend on its prefix cache, also when memory is short", "[actors][prefix]") {
  std::uint64_t saved = 0, evictions = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    const std::uint64_t kv_positions = seed % 3 == 0 ? 1u << 20 : 4 * 1300;  // just enough for those that run
    shard_runner without(toy_with(kv_positions));
    const auto expected = prefix_walk(without, seed).walk(80);
    for (std::uint32_t least : {1u, 7u, 64u}) {
      INFO("seed " << seed << ", shared from " << least << " positions on");
      shard_runner with(toy_with(kv_positions), planted_bug::none, least);
      CHECK(first_difference(prefix_walk(with, seed).walk(80), expected) == "");
      saved += with.prefixes().counts.saved_tokens;
      evictions += with.prefixes().counts.evictions;
      CHECK(with.shard().kv_bytes() == with.prefixes().bytes());
      CHECK(with.sequences() == 0);
    }
    CHECK(failure_in(expected) == "");
  }
  CHECK(saved > 100'000);
  CHECK(evictions > 100);
}

TEST_CASE("what the reference shard says has the same bits with a prefix cache", "[actors][prefix]") {
  std::uint64_t saved = 0, evictions = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    models::test::random_folder made(seed);
    models::hf::model_folder folder(made.dir());
    models::shard_options o;
    o.compute = seed % 2 == 0 ? dtype::f64 : dtype::f32;
    if (seed % 4 < 2)
      o.kv_bytes = 4 * models::make_reference_shard(folder, o)->kv_bytes_for(220);  // just enough for those that run
    INFO(made.text() << " seed " << seed);
    shard_runner without(models::make_reference_shard(folder, o)),
        with(models::make_reference_shard(folder, o), planted_bug::none, 64),
        finely(models::make_reference_shard(folder, o), planted_bug::none, 5);
    const auto expected = prefix_walk(without, seed).walk(120);
    CHECK(first_difference(prefix_walk(with, seed).walk(120), expected) == "");
    CHECK(first_difference(prefix_walk(finely, seed).walk(120), expected) == "");
    saved += with.prefixes().counts.saved_tokens;
    CHECK(with.shard().kv_bytes() == with.prefixes().bytes());
    CHECK(finely.shard().kv_bytes() == finely.prefixes().bytes());
    CHECK(failure_in(expected) == "");
    evictions += with.prefixes().counts.evictions + finely.prefixes().counts.evictions;
  }
  CHECK(saved > 1000);
  CHECK(evictions > 10);
}

TEST_CASE("held texts never cost a sequence its pages", "[actors][prefix]") {
  models::hf::model_folder folder(models::test::fixture("gqa-untied"));
  models::shard_options o;
  o.kv_bytes = 4 * 6 * 2 * 2 * 10 * 64 * sizeof(float);  // six pages in each of four layers
  shard_runner r(models::make_reference_shard(folder, o), planted_bug::none, 64);
  auto run = [&](std::uint64_t session, ids text) {
    keyed_segment work{{{1, session}, 7, 0}, {}};
    work.seg.last_stage = 2;
    work.seg.tokens = std::move(text);
    work.seg.want.tokens = rows_wanted::last;
    auto out = r.run({work});
    return out.front().engaged();
  };
  for (token_id t = 0; t < 5; ++t) {
    REQUIRE(run(t, ids(100, t)));
    r.close({{1, t}, 7, 0});
  }
  CHECK(r.prefixes().size() == 3);
  CHECK(r.kv_bytes_free(UINT64_MAX) == o.kv_bytes);
  CHECK(run(9, ids(100, 4)));  // shares with the newest
  CHECK(r.rows_run() == 1);
  CHECK(r.kv_bytes_free(UINT64_MAX) < o.kv_bytes);
  CHECK(run(10, ids(200, 50)));  // takes everything that is left: all six pages but two
  CHECK_FALSE(run(11, ids(100, 51)));
  r.close({{1, 9}, 7, 0});
  CHECK(run(11, ids(100, 51)));
}
