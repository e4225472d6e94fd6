// `hat` through real roles, stubs and engines: whatever is drafted, the tokens are those of the whole model.
#include "models/wire_rows.hpp"
#include "tests/actors/split_pair.hpp"

#include <numeric>

using namespace virga;
using namespace virga::testing;

namespace {

const std::string fixture = "gqa-untied";
constexpr std::uint32_t layers = 4;
const std::vector<token_id> prompt{3, 14, 15, 9, 26, 5, 35};

shard_maker f64() { return reference(fixture, dtype::f64); }
shard_maker f32() { return reference(fixture, dtype::f32); }

outcome end_of(const answer_log& log) {
  auto ends = bodies<outcome>(log);
  REQUIRE(ends.size() == 1);
  return ends.front();
}

header of_verifier(pair& p, std::uint32_t unit) { return {{0, 1}, 1, unit, 0, role::verifier, p.now() + 5s}; }

open_session opening(const pair& p, dtype wire) {
  return {p.part.model_digest, p.part.first_layer, p.part.last_layer, p.part.hidden, wire, 3, 9, "test"};
}

/// A cloud with room for 128 positions of its three layers.
shard_maker tight() {
  auto folder = std::make_shared<models::hf::model_folder>(models::test::fixture(fixture));
  auto page = std::uint64_t{2} * 2 * 10 * 64 * sizeof(double) * 3;  // 64 positions
  return [=](const std::vector<stage>& stages) {
    models::shard_options o;
    o.compute = dtype::f64;
    o.stages = stages;
    if (stages.front().kind == stage_kind::layers)
      o.kv_bytes = 2 * page;
    return models::make_reference_shard(*folder, o);
  };
}

} // namespace

TEST_CASE("hat gives the tokens of the whole model for every cut and way to draft", "[actors][hat]") {
  for (auto choose : {sampling{}, sampling{2.5, 42}}) {
    auto want = expected(f64(), layers, prompt, 24, choose);
    for (std::uint32_t cut = 1; cut < layers; ++cut)
      for (auto& way : {adapter_after(cut), own_layers(cut, layers)})
        for (std::uint32_t chunk : {0u, 1u, 3u}) {
          CAPTURE(cut, chunk, choose.temperature, models::describe(std::vector{way.bridge}));
          pair p{f64(), layers, cut, chunk, {}, way};
          auto log = p.generate(prompt, 24, choose);
          CHECK(ids_of(log) == want);
          if (way.bridge.kind == stage_kind::layers)
            CHECK(end_of(log).round_trips < 24);
          CHECK(p.ask<engine_stats>(p.device, stats_atom::value)->sequences == 0);
          CHECK(p.ask<engine_stats>(p.cloud, stats_atom::value)->sequences == 0);
        }
  }
}

TEST_CASE("sessions that share batches get what each gets alone", "[actors][hat]") {
  pair p{f64(), layers, 1, 2, {}, adapter_after(1)};
  p.together = true;
  std::vector<answer_log> logs;
  for (token_id i = 0; i < 12; ++i)
    logs.push_back(p.generate({i, i + 1, i + 2}, 14, {i % 2 == 0 ? 0 : 3.0, i}, 100 + i));
  p.run();
  for (token_id i = 0; i < 12; ++i)
    CHECK(ids_of(logs[i]) == expected(f64(), layers, {i, i + 1, i + 2}, 14, {i % 2 == 0 ? 0 : 3.0, i}));
  auto stats = p.ask<engine_stats>(p.cloud, stats_atom::value);
  CHECK(stats->steps < stats->rows / 3);
}

TEST_CASE("the wire's dtype changes what is computed, drafting does not", "[actors][hat]") {
  for (auto wire : {dtype::f32, dtype::bf16, dtype::f16, dtype::i8_rows}) {
    auto with = [&](drafting way, std::uint32_t chunk, std::vector<std::uint32_t> cuts = {}) {
      way.wire = wire;
      pair p{f32(), layers, 1, chunk, std::move(cuts), way};
      return ids_of(p.generate(prompt, 24, {1.5, 7}));
    };
    CAPTURE(to_string(wire));
    auto split = with({}, whole_prompt);
    CHECK(split.size() == 24);
    CHECK(with(adapter_after(1), 2) == split);
    CHECK(with(own_layers(1, layers), 3) == split);
    CHECK(with(own_layers(1, layers), 0, {2, 3}) == split);  // a pipeline rounds nothing between its parts
    if (wire == dtype::f32)
      CHECK(split == expected(f32(), layers, prompt, 24, {1.5, 7}));
  }
}

TEST_CASE("a long prompt in several steps of the cloud gives the same tokens", "[actors][hat]") {
  auto want = expected(f64(), layers, prompt, 12, {});
  for (std::uint32_t rows : {0u, 1u, 3u, 512u}) {
    pair p{f64(), layers, 1, whole_prompt};
    auto part = p.part;
    part.stage_count = 1;
    part.chunk_rows = rows;
    auto verify = p.sys.spawn(make_verifier, verifier_options{part, 21, "cloud", 64}, engine{p.cloud_engine});
    p.aim(p.verifier_stub, verifier{verify}, 21);
    p.run();
    CHECK(ids_of(p.generate(prompt, 12)) == want);
    auto steps = p.ask<engine_stats>(p.cloud, stats_atom::value)->steps;
    CHECK(steps == 11 + (rows == 0 ? 1 : (prompt.size() + rows - 1) / rows));
  }
}

TEST_CASE("a round that is asked twice is answered twice, bit for bit, and run once", "[actors][hat]") {
  pair p{f32(), layers, 1, 512};
  auto log = p.make_log();
  auto me = p.listen(log);
  caf::anon_send(p.verify, call<open_session>{of_verifier(p, 1), opening(p, dtype::f32), me});
  verify round{0, rows_wanted::all, {dtype::f32, 3, p.part.hidden, {}}};
  round.rows.data.resize(3 * p.part.hidden * sizeof(float), std::byte{0x3c});
  caf::anon_send(p.verify, call<verify>{of_verifier(p, 2), round, me});
  p.run();
  auto before = p.ask<engine_stats>(p.cloud, stats_atom::value)->rows;
  caf::anon_send(p.verify, call<verify>{of_verifier(p, 2), round, me});
  p.run();
  auto results = bodies<verified>(log);
  REQUIRE(results.size() == 2);
  CHECK(results[0].rows.data == results[1].rows.data);
  CHECK(results[0].rows.rows == 3);
  CHECK(results[0].batch_rows == 3);
  CHECK(p.ask<engine_stats>(p.cloud, stats_atom::value)->rows == before);
  // So is the one before a round that went ahead of its answer.
  round.base = 3;
  caf::anon_send(p.verify, call<verify>{of_verifier(p, 4), round, me});
  p.run();
  round.base = 0;
  caf::anon_send(p.verify, call<verify>{of_verifier(p, 2), round, me});
  p.run();
  CHECK(bodies<verified>(log).back().rows.data == results[0].rows.data);
  before += 3;
  CHECK(p.ask<engine_stats>(p.cloud, stats_atom::value)->rows == before);
  // Not many rows are remembered.
  auto many = round;
  many.base = 0;
  many.rows = {dtype::f32, 60, p.part.hidden, byte_buffer(60 * p.part.hidden * sizeof(float), std::byte{0x3c})};
  for (std::uint32_t unit : {6, 7, 9, 6}) {
    caf::anon_send(p.verify, call<verify>{of_verifier(p, unit), many, me});
    p.run();
    before += 60;
  }
  CHECK(p.ask<engine_stats>(p.cloud, stats_atom::value)->rows == before);
  // A later round at a lower base rolls back and runs.
  round.base = 1;
  caf::anon_send(p.verify, call<verify>{of_verifier(p, 8), round, me});
  p.run();
  CHECK(bodies<verified>(log).size() == 9);
  CHECK(p.ask<engine_stats>(p.cloud, stats_atom::value)->rows == before + 3);
}

TEST_CASE("a wire that is wider than the computation is refused, and so are rows of another dtype", "[actors][hat]") {
  pair p{f32(), layers, 1, 512};
  auto log = p.make_log();
  auto me = p.listen(log);
  caf::anon_send(p.verify, call<open_session>{of_verifier(p, 1), opening(p, dtype::f64), me});
  p.run();
  REQUIRE(bodies<failure>(log).size() == 1);
  CHECK(bodies<failure>(log)[0].code == ec::model_mismatch);
  CHECK(bodies<failure>(log)[0].text.find("the device has f64, the cloud has f32") != std::string::npos);
  caf::anon_send(p.verify, call<open_session>{of_verifier(p, 1), opening(p, dtype::f16), me});
  verify round{0, rows_wanted::last, {dtype::f32, 1, p.part.hidden, {}}};
  round.rows.data.resize(p.part.hidden * sizeof(float));
  caf::anon_send(p.verify, call<verify>{of_verifier(p, 2), round, me});
  p.run();
  REQUIRE(bodies<failure>(log).size() == 2);
  CHECK(bodies<failure>(log)[1].code == ec::bad_tensor);
}

TEST_CASE("rows that the wire's dtype cannot hold end the answer with the cure", "[actors][hat]") {
  auto huge = [make = f32()](const std::vector<stage>& stages) {
    struct loud final : models::shard {  // its input stages give rows beyond f16
      std::unique_ptr<models::shard> inner;
      const models::shard_info& info() const override { return inner->info(); }
      models::sequence open() override { return inner->open(); }
      models::sequence fork(models::sequence s, std::uint64_t n) override { return inner->fork(s, n); }
      void truncate(models::sequence s, std::uint64_t n) override { inner->truncate(s, n); }
      void close(models::sequence s) override { inner->close(s); }
      std::uint64_t length(models::sequence s, std::uint32_t i) const override { return inner->length(s, i); }
      std::uint64_t kv_bytes() const override { return inner->kv_bytes(); }
      std::uint64_t kv_bytes_limit() const override { return inner->kv_bytes_limit(); }
      std::uint64_t kv_bytes_for(std::uint64_t n) const override { return inner->kv_bytes_for(n); }
      std::uint64_t kv_bytes_held_by(std::span<const models::sequence> s) const override {
        return inner->kv_bytes_held_by(s);
      }
      std::vector<models::segment_result> step(std::span<const models::segment> batch) override {
        auto out = inner->step(batch);
        for (auto& r : out)
          if (r.rows.rows > 0) {
            float large = 1e6f;
            std::memcpy(r.rows.data.data(), &large, sizeof large);
          }
        return out;
      }
    };
    auto out = std::make_unique<loud>();
    out->inner = make(stages);
    return std::unique_ptr<models::shard>(std::move(out));
  };
  drafting way;
  way.wire = dtype::f16;
  pair p{huge, layers, 1, 512, {}, way};
  auto log = p.generate(prompt, 5);
  REQUIRE(bodies<failure>(log).size() == 1);
  CHECK(bodies<failure>(log)[0].code == ec::bad_tensor);
  CHECK(bodies<failure>(log)[0].text.find("choose bf16 or f32 for the wire") != std::string::npos);
  CHECK(p.ask<engine_stats>(p.device, stats_atom::value)->sequences == 0);
}

TEST_CASE("a verifier that has warmed up suggests chunks, and devices follow", "[actors][hat]") {
  pair p{f32(), layers, 1, 0, {}, adapter_after(1)};
  auto part = p.part;
  part.stage_count = 1;
  part.warm_up = true;
  auto verify = p.sys.spawn(make_verifier, verifier_options{part, 21, "cloud", 64}, engine{p.cloud_engine});
  p.run();
  CHECK(p.ask<engine_stats>(p.cloud, stats_atom::value)->sequences == 0);
  auto log = p.make_log();
  auto me = p.listen(log);
  auto ask = opening(p, dtype::f32);
  ask.up_bytes_per_s = 1;  // so slow that the smallest chunk takes the uplink long enough
  caf::anon_send(verify, call<open_session>{of_verifier(p, 1), ask, me});
  p.run();
  REQUIRE(bodies<opened>(log).size() == 1);
  CHECK(bodies<opened>(log)[0].chunk_rows == 16);
  ask.up_bytes_per_s = 0;
  caf::anon_send(verify, call<open_session>{of_verifier(p, 1), ask, me});
  p.run();
  CHECK(bodies<opened>(log)[1].chunk_rows == 512);
}

TEST_CASE("what suited the last prompt's link is not taken for granted by the next one", "[actors][hat]") {
  pair p{f32(), layers, 1, 0, {}, adapter_after(1)};
  const std::vector<token_id> long_prompt(100, 5);
  for (std::uint64_t id : {1, 2, 3}) {
    CAPTURE(id);
    auto before = p.ask<engine_stats>(p.cloud, stats_atom::value)->steps;
    p.generate(long_prompt, 1, {}, id);
    CHECK(p.ask<engine_stats>(p.cloud, stats_atom::value)->steps == before + 2);  // 32 rows, and then the cloud has said: all
  }
}

TEST_CASE("the last of a prompt's chunks goes in halves", "[actors][hat]") {
  pair p{f32(), layers, 1, 0, {}, adapter_after(1)};
  auto part = p.part;
  part.stage_count = 1;
  std::vector<std::uint32_t> chunks;
  auto tells_64 = [&](verifier::pointer) -> verifier::behavior_type {
    return {[](call<open_session>& c) { reply_to(c.reply, c.hdr, opened{0, 999, 64}); },
            [&](call<verify>& c) {
              chunks.push_back(c.body.rows.rows);
              const auto want = c.body.want == rows_wanted::none ? 0u : 1u;
              auto rows = want > 0 ? some_rows(c.body.rows, c.body.rows.rows - 1, 1) : tensor{};
              reply_to(c.reply, c.hdr, verified{c.body.base, std::move(rows), {}, 1, 64});
            },
            [](const call<close_session>&) {}};
  };
  p.aim(p.verifier_stub, p.sys.spawn(tells_64), 31);
  p.run();
  p.generate(std::vector<token_id>(200, 5), 1);
  REQUIRE(chunks.size() > 2);
  CHECK(chunks.front() == 32);
  CHECK(std::accumulate(chunks.begin(), chunks.end(), 0u) == 200);
  CHECK(std::ranges::max(chunks) == 64);
  CHECK(chunks.back() <= 16);
  CHECK(chunks[chunks.size() - 2] <= 17);
}

TEST_CASE("a chunk's wait for its own prompt is no reason for larger chunks", "[actors][hat]") {
  auto suggested = [](bool at_once) {
    pair p{f32(), layers, 1, 512};
    engine_config c;
    c.name = "slow";
    c.make = [] { return f32()({{stage_kind::layers, 1, layers}}); };
    c.charge = [](std::uint64_t rows) { return 20ms + rows * 1ms; };
    auto slow = p.sys.spawn(make_engine, std::move(c));
    auto part = p.part;
    part.stage_count = 1;
    auto verify_at = p.sys.spawn(make_verifier, verifier_options{part, 21, "cloud", 64}, engine{slow});
    auto log = p.make_log();
    auto me = p.listen(log);
    auto ask = opening(p, dtype::f32);
    ask.prompt_tokens = 128;
    caf::anon_send(verify_at, call<open_session>{of_verifier(p, 1), ask, me});
    const auto row = models::row_bytes(dtype::f32, p.part.hidden);
    std::uint32_t base = 0, unit = 1;
    for (std::uint32_t rows : {32u, 32u, 16u, 16u, 16u, 16u}) {
      verify chunk{std::exchange(base, base + rows), rows_wanted::none, {dtype::f32, rows, p.part.hidden, {}}, 2'000 * row};
      chunk.rows.data.resize(rows * row, std::byte{0x3c});
      caf::anon_send(verify_at, call<verify>{of_verifier(p, ++unit), std::move(chunk), me});
      if (!at_once)
        p.advance(1s);
    }
    p.advance(10s);
    REQUIRE(bodies<verified>(log).size() == 6);
    return bodies<verified>(log).back().chunk_rows;
  };
  const auto alone = suggested(false);
  CHECK(alone > 16);
  CHECK(alone < 128);
  CHECK(suggested(true) == alone);
}

TEST_CASE("when memory runs out the older session goes on and the newer one replays or says so", "[actors][hat]") {
  std::vector<token_id> longer(40, 7);
  for (std::uint32_t newer_tokens : {4u, 40u}) {
    pair p{tight(), layers, 1, whole_prompt, {}, own_layers(1, layers)};
    p.together = true;
    auto older = p.generate(longer, 60, {}, 1), newer = p.generate(prompt, newer_tokens, {}, 2);
    p.run();
    CHECK(ids_of(older) == expected(f64(), layers, longer, 60, {}));
    auto refused = bodies<failure>(newer);
    if (newer_tokens == 4)
      CHECK(ids_of(newer) == expected(f64(), layers, prompt, 4, {}));  // it has ended before the older one needs more
    else
      REQUIRE(refused.size() == 1);
    for (auto& f : refused)
      CHECK((f.code == ec::stale_position || f.code == ec::out_of_pages));
  }
}

TEST_CASE("the newest session waits for memory until an older one ends", "[actors][hat]") {
  for (std::uint32_t chunk : {whole_prompt, 5u}) {
    pair p{tight(), layers, 1, chunk, {}, own_layers(1, layers)};
    p.together = true;
    std::vector<token_id> small(20, 7), large(70, 9);
    auto older = p.generate(small, 30, {}, 1), newer = p.generate(large, 20, {}, 2);
    p.run();
    CHECK(ids_of(older) == expected(f64(), layers, small, 30, {}));
    CHECK(bodies<failure>(newer).empty());
    CHECK(ids_of(newer) == expected(f64(), layers, large, 20, {}));
    auto alone = p.generate(std::vector<token_id>(140, 9), 4, {}, 3);
    p.run();
    REQUIRE(bodies<failure>(alone).size() == 1);
    CHECK(bodies<failure>(alone)[0].code == ec::out_of_pages);  // nobody will free what it needs
  }
}

TEST_CASE("after a lost link hat goes on from what both sides still hold", "[actors][hat]") {
  for (std::size_t after : {0u, 1u, 6u, 13u})
    for (bool cloud_forgets : {false, true}) {
      pair p{f64(), layers, 1, 3, {}, adapter_after(1, {4, 0.0})};
      auto want = expected(f64(), layers, prompt, 20, {2.5, 3});
      auto log = p.make_log();
      auto place = [&](std::uint32_t epoch, const std::vector<token_id>& so_far) {
        complete work{prompt, {}, static_cast<std::uint32_t>(20 - so_far.size()), {2.5, 3}, {}};
        work.prompt.insert(work.prompt.end(), so_far.begin(), so_far.end());
        work.answered = static_cast<std::uint32_t>(so_far.size());
        log = p.make_log();
        p.listeners.push_back(p.listen(log));
        caf::anon_send(p.draft, call<complete>{header{{0, 1}, epoch, 0, 0, role::drafter, p.now() + 100s}, std::move(work),
                                               p.listeners.back()});
      };
      auto so_far = [&] {
        std::vector<token_id> out;
        for (auto& t : bodies<tokens>(log))
          out.insert(out.end(), t.ids.begin(), t.ids.end());
        return out;
      };
      place(1, {});
      while (so_far().size() < after)
        REQUIRE(p.sched.try_run_once());
      caf::anon_send(p.verifier_stub, lost_atom::value, std::uint32_t{0}, std::string{"the wire was cut"});
      p.run();
      auto first = so_far();
      REQUIRE(bodies<failure>(log).size() == 1);
      auto incarnation = std::uint64_t{11};
      auto back = p.verify;
      if (cloud_forgets) {
        auto part = p.part;
        part.stage_count = 1;
        incarnation = 13;
        back = p.sys.spawn(make_verifier, verifier_options{part, incarnation, "cloud", 64}, engine{p.cloud_engine});
      }
      p.aim(p.verifier_stub, verifier{back}, incarnation);
      place(2, first);
      p.run();
      auto rest = so_far();
      first.insert(first.end(), rest.begin(), rest.end());
      CAPTURE(after, cloud_forgets);
      CHECK(first == want);
      CHECK(p.ask<engine_stats>(p.device, stats_atom::value)->sequences == 0);
    }
}
