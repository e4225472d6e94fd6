// The device side of `hat` between reference shards in f64: whatever is drafted, guessed, chunked and interleaved, the answer is the
// whole model's, bit for bit.
#include "models/make_shard.hpp"
#include "tests/actors/device_rig.hpp"
#include "tests/models/random_adapter.hpp"

#include <cmath>
#include <set>

using namespace virga;
using namespace virga::testing;
using models::stage;
using models::stage_kind;

namespace {

constexpr std::uint32_t layer_count = 4;

const models::hf::model_folder& base() {
  static models::hf::model_folder folder(models::test::fixture("gqa-untied"));
  return folder;
}

/// How the device drafts. `layers`: it has the cloud's layers too, so that every draft is right.
enum class bridge { none, adapter, layers };

std::unique_ptr<models::shard> shard(std::vector<stage> stages, std::shared_ptr<const models::hf::adapter_folder> adapter = {}) {
  models::shard_options o;
  o.compute = dtype::f64;
  o.stages = std::move(stages);
  o.adapter = std::move(adapter);
  return models::make_reference_shard(base(), o);
}

device_rig make_rig(bridge how, std::uint32_t cut, std::uint64_t seed) {
  std::vector<stage> stages{{stage_kind::embedding}, {stage_kind::layers, 0, cut}, {stage_kind::head}};
  std::shared_ptr<const models::hf::adapter_folder> adapter;
  static std::map<std::uint32_t, models::test::random_adapter> made;
  if (how == bridge::adapter)
    adapter = made.try_emplace(cut, base(), cut, 5).first->second.load();
  if (how == bridge::layers)
    stages.insert(stages.end() - 1, {stage_kind::layers, cut, layer_count});
  return {shard(stages, adapter), shard({{stage_kind::layers, cut, layer_count}}), 1, seed};
}

complete work_of(std::vector<token_id> prompt, std::uint32_t max_tokens, sampling choose = {}, std::vector<token_id> stop = {}) {
  complete work;
  work.prompt = std::move(prompt);
  work.stop = std::move(stop);
  work.max_tokens = max_tokens;
  work.choose = std::move(choose);
  return work;
}

/// The whole model, token by token.
std::vector<token_id> truth(const complete& work) {
  auto whole = shard({{stage_kind::embedding}, {stage_kind::layers, 0, layer_count}, {stage_kind::head}});
  auto seq = whole->open();
  auto all = work.prompt;
  std::vector<token_id> out;
  std::uint64_t fed = 0;
  while (out.size() < work.max_tokens) {
    models::segment s{seq, 0, 2, fed, {all.begin() + static_cast<std::ptrdiff_t>(fed), all.end()}, {}, {}};
    s.want.tokens = rows_wanted::last;
    s.want.choose = work.choose;
    s.want.context = work.choose.looks_back() ? all : std::vector<token_id>{};
    s.want.prompt_tokens = static_cast<std::uint32_t>(work.prompt.size());
    fed = all.size();
    auto id = whole->step(std::span{&s, 1}).at(0).choices.at(0).id;
    if (std::ranges::find(work.stop, id) != work.stop.end())
      break;
    out.push_back(id);
    all.push_back(id);
  }
  return out;
}

std::vector<token_id> prompt_of(std::mt19937_64& random, std::size_t length) {
  std::vector<token_id> out(length);
  for (auto& id : out)
    id = static_cast<token_id>(random() % 101);
  return out;
}

/// Keys and values of the first `positions` in every layer of the stage, bit for bit.
void compare_kv(const shard_runner& a, const sequence_key& in_a, const shard_runner& b, const sequence_key& in_b, std::uint32_t stage,
                std::uint64_t positions) {
  const auto& what = a.info().stages[stage];
  if (what.kind != stage_kind::layers && what.kind != stage_kind::adapter)
    return;
  const auto layers = what.kind == stage_kind::adapter ? 1 : what.last - what.first;
  CHECK(a.shard().length(*a.find(in_a), stage) >= positions);  // what was rejected may still lie behind them
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    auto rows_of = [&](auto& runner, auto& key) {
      return runner.shard().kv_rows(*runner.find(key), stage, layer, 0, static_cast<std::uint32_t>(positions)).data;
    };
    CHECK(rows_of(a, in_a) == rows_of(b, in_b));
  }
}

std::size_t came_true(const device_rig& r) {
  return static_cast<std::size_t>(
    std::ranges::count_if(r.rounds, [](auto& x) { return x.source != draft_source::fresh; }));
}

} // namespace

TEST_CASE("every draft, guess, chunk and order of events gives the whole model's answer", "[actors][hat]") {
  std::mt19937_64 random(1);
  for (auto how : {bridge::none, bridge::adapter, bridge::layers})
    for (double unsure : {0.0, 0.3, 0.6, 1.1})
      for (std::uint32_t most : {1u, 4u, 6u})
        for (std::uint32_t hidden : {0u, 1u, 9u}) {
          auto cut = 1 + static_cast<std::uint32_t>(random() % 3);
          auto seed = random();
          sampling choose{random() % 2 == 0 ? 0 : 3.0, seed};
          auto work = work_of(prompt_of(random, 1 + random() % 12), 1 + random() % 20, choose);
          auto r = make_rig(how, cut, seed);
          draft_config c{how == bridge::none ? 0 : most, unsure, false, static_cast<std::uint32_t>(random() % 3),
                         static_cast<std::uint32_t>(random() % 3), 0, 1 + static_cast<std::uint32_t>(random() % 4)};
          INFO("bridge " << static_cast<int>(how) << " unsure " << unsure << " most " << most << " hidden " << hidden << " cut " << cut
                         << " seed " << seed);
          CHECK(r.answer(work, c, {most, hidden, 1 + static_cast<std::uint32_t>(random() % 6), random() % 2 == 0}) == truth(work));
          CHECK(r.finish == finish_reason::length);
          if (how == bridge::layers && unsure == 0.0)
            for (auto& round : r.rounds)
              CHECK(round.accepted == round.drafted);
        }
}

TEST_CASE("the cloud as its own draft stands always and fills every round", "[actors][hat]") {
  auto work = work_of({3, 14, 15, 9, 26}, 29);
  auto r = make_rig(bridge::layers, 1, 3);
  r.far_away = true;
  CHECK(r.answer(work, {6, 0.0, false, 2, 2, 0, 4}, {6, 9, 512}) == truth(work));
  REQUIRE(r.rounds.size() == 5);  // the prompt's, then 7 tokens each
  for (std::size_t i = 1; i < r.rounds.size(); ++i) {
    CHECK(r.rounds[i].drafted == 6);
    CHECK(r.rounds[i].accepted == 6);
  }
  CHECK(came_true(r) == 3);  // all but the first, since nothing is guessed before the first token
}

TEST_CASE("rounds that go ahead change no token, and those that come true need no draft", "[actors][hat]") {
  std::mt19937_64 random(6);
  std::uint64_t ahead = 0, early = 0;
  std::size_t hits = 0;
  for (int i = 0; i < 90; ++i) {
    auto how = i % 3 == 0 ? bridge::layers : bridge::adapter;
    auto seed = random();
    auto work = work_of(prompt_of(random, 1 + random() % 6), 1 + random() % 40, {i % 2 == 0 ? 3.0 : 0.0, seed});
    if (i % 5 == 0)
      work.stop = {static_cast<token_id>(random() % 101)};
    auto r = make_rig(how, 1, seed);
    r.far_away = i % 2 == 0;
    CHECK(r.answer(work, {5, 0.1, false, 2, 2, 0, 4}, {1 + static_cast<std::uint32_t>(random() % 5), 9, 4, true}) == truth(work));
    ahead += r.went_ahead;
    early += r.came_early;
    hits += came_true(r);
  }
  CHECK(ahead > 100);
  CHECK(early > 5);
  CHECK(hits > 50);
}

TEST_CASE("the caches after every kind of round are those of a fresh run", "[actors][hat]") {
  std::mt19937_64 random(2);
  std::set<std::pair<std::uint32_t, std::uint32_t>> kinds;
  for (int i = 0; i < 80; ++i) {
    auto how = i % 2 == 0 ? bridge::adapter : bridge::layers;
    auto seed = random();
    auto work = work_of(prompt_of(random, 1 + random() % 9), 60, {i % 4 < 2 ? 0 : 4.0, seed});
    auto r = make_rig(how, 2, seed);
    r.session.emplace(work, draft_config{4, 0.02 * static_cast<double>(random() % 4), false, 2, 2, 0, 2}, r.stages);
    r.session->set({4, static_cast<std::uint32_t>(random() % 6), 3, random() % 2 == 0});
    r.take(r.session->begin(0));
    for (auto rounds = 2 + random() % 8; r.rounds.size() < rounds && r.finish == finish_reason::none;)
      r.step();
    REQUIRE(r.finish == finish_reason::none);
    kinds.emplace(r.rounds.back().drafted, r.rounds.back().accepted);
    auto committed = r.session->committed();
    REQUIRE(r.session->fed() == committed.size() - 1);
    // Another placement names the branch that the session lives on.
    auto older = *r.session;
    r.session.emplace(work_of(committed, 1), draft_config{}, r.stages);
    r.session->take_over(older);
    auto next = r.session->begin(UINT64_MAX);
    REQUIRE(next.device.size() == 1);
    const auto& step = next.device.front().step;
    REQUIRE(step.base == committed.size() - 1);
    auto fresh = make_rig(how, 2, seed);
    fresh.feed({committed.begin(), committed.end() - 1});
    const auto held = older.fed();
    for (std::uint32_t stage = 0; stage <= r.stages.head; ++stage)
      compare_kv(r.device, {{}, 1, step.branch}, fresh.device, {{}, 1, 0}, stage, stage > r.stages.input_last ? held - 1 : held);
    compare_kv(r.cloud, {{}, 2, 0}, fresh.cloud, {{}, 2, 0}, 0, held);
  }
  CHECK(kinds.size() > 6);
}

TEST_CASE("a guess that came true is what would have been drafted", "[actors][hat]") {
  std::mt19937_64 random(4);
  std::size_t hits = 0;
  for (int i = 0; i < 60; ++i) {
    auto how = i % 3 == 0 ? bridge::layers : bridge::adapter;
    auto seed = random();
    auto work = work_of(prompt_of(random, 1 + random() % 6), 24, {i % 2 == 0 ? 3.0 : 0.0, seed});
    draft_config c{5, 0.2, false, 2, 2, 0, 4};
    auto guessing = make_rig(how, 1, seed), waiting = make_rig(how, 1, seed + 1);
    guessing.answer(work, c, {5, static_cast<std::uint32_t>(random() % 7), 4});
    waiting.answer(work, c, {5, 0, 4});
    REQUIRE(guessing.asked.size() == waiting.asked.size());
    for (std::size_t k = 0; k < waiting.asked.size(); ++k) {
      CHECK(guessing.asked[k].base == waiting.asked[k].base);
      CHECK(guessing.asked[k].rows.data == waiting.asked[k].rows.data);
    }
    hits += came_true(guessing);
    CHECK(came_true(waiting) == 0);
  }
  CHECK(hits > 50);
}

TEST_CASE("an answer ends at its stop token wherever a round meets it", "[actors][hat]") {
  const std::vector<token_id> prompt{8, 1, 40};
  auto all = truth(work_of(prompt, 24, {2.0, 77}));
  for (auto how : {bridge::adapter, bridge::layers})
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
      auto stop = all[seed % all.size()];
      auto work = work_of(prompt, 24, {2.0, 77}, {stop});
      auto r = make_rig(how, 1, seed);
      CHECK(r.answer(work, {6, 0.1, false, 2, 2, 0, 4}, {6, static_cast<std::uint32_t>(seed % 8), 2}) == truth(work));
      CHECK(r.finish == finish_reason::stop);
    }
}

TEST_CASE("an answer has the length asked for and leaves the model's context never", "[actors][hat]") {
  for (std::uint32_t length = 1; length <= 12; ++length) {
    auto work = work_of({1, 2}, length);
    auto r = make_rig(bridge::layers, 1, length);
    CHECK(r.answer(work, {6, 0.0, false, 2, 2, 0, 4}, {6, 9, 512}).size() == length);
    CHECK(r.finish == finish_reason::length);
  }
  std::mt19937_64 random(6);
  auto long_work = work_of(prompt_of(random, 500), 12);  // 512 positions, of which the last token needs none
  auto r = make_rig(bridge::layers, 1, 9);
  CHECK(r.answer(long_work, {6, 0.0, false, 2, 2, 0, 4}, {6, 9, 100}) == truth(long_work));
}

TEST_CASE("penalties see committed tokens and drafts alike", "[actors][hat]") {
  sampling choose{0.9, 12};
  choose.repetition_penalty = 1.4;
  choose.frequency_penalty = 0.7;
  auto work = work_of({5, 5, 6, 1}, 22, choose);
  for (auto how : {bridge::none, bridge::adapter, bridge::layers})
    for (std::uint64_t seed = 1; seed < 6; ++seed) {
      auto r = make_rig(how, 2, seed);
      CHECK(r.answer(work, {how == bridge::none ? 0u : 4u, 0.2, false, 2, 2, 0, 4}, {4, 4, 3}) == truth(work));
      if (how == bridge::layers)
        for (auto& round : r.rounds)
          CHECK(round.accepted == round.drafted);
    }
}

TEST_CASE("a prompt goes in chunks of which few are under way", "[actors][hat]") {
  std::mt19937_64 random(8);
  auto work = work_of(prompt_of(random, 23), 1);
  device_rig r = make_rig(bridge::adapter, 1, 1);
  r.session.emplace(work, draft_config{4, 0.6, false, 2, 2, 0, 3}, r.stages);
  r.session->set({4, 4, 5});
  r.take(r.session->begin(0));
  while (!r.device_works.empty())
    r.run_device();
  CHECK(r.cloud_works.size() == 3);
  r.run_cloud();
  while (!r.device_works.empty())
    r.run_device();
  CHECK(r.cloud_works.size() == 3);
  while (r.finish == finish_reason::none)
    r.step();
  std::vector<std::uint32_t> rows;
  for (auto& ask : r.asked)
    rows.push_back(ask.rows.rows);
  CHECK(rows == std::vector<std::uint32_t>{5, 5, 5, 5, 3});
  CHECK(r.asked.back().want == rows_wanted::last);
  CHECK(r.asked.front().want == rows_wanted::none);
  CHECK(r.emitted == truth(work));
}

TEST_CASE("a session goes on from what both sides still hold", "[actors][hat]") {
  std::mt19937_64 random(9);
  for (int i = 0; i < 40; ++i) {
    auto how = i % 2 == 0 ? bridge::adapter : bridge::layers;
    auto seed = random();
    auto work = work_of(prompt_of(random, 1 + random() % 10), 16, {i % 4 < 2 ? 0 : 3.0, seed});
    draft_config c{5, 0.2, false, 2, 2, 0, 4};
    auto r = make_rig(how, 1, seed);
    r.session.emplace(work, c, r.stages);
    r.session->set({5, 3, 4});
    r.take(r.session->begin(0));
    for (auto left = random() % 40; left > 0 && r.finish == finish_reason::none; --left)
      r.step();
    if (r.finish != finish_reason::none)
      continue;
    // The link is lost: what was under way is gone; the device still runs what it was asked.
    r.cloud_works.clear();
    auto again = work;
    again.prompt.insert(again.prompt.end(), r.emitted.begin(), r.emitted.end());
    again.max_tokens -= static_cast<std::uint32_t>(r.emitted.size());
    again.answered = static_cast<std::uint32_t>(r.emitted.size());
    auto older = *r.session;
    auto before = r.emitted;
    auto waiting = std::exchange(r.device_works, {});
    r.session.emplace(again, c, r.stages);
    r.session->take_over(older);
    for (auto& w : waiting) {  // an engine runs them first; nobody hears
      std::vector<keyed_segment> batch;
      batch.push_back({{{}, 1, w.step.branch},
                       {{}, w.step.first_stage, w.step.last_stage, w.step.base, w.step.tokens, w.step.rows, w.step.want}, w.step.from});
      (void)r.device.run(std::move(batch));
    }
    auto cloud_holds = random() % 3 == 0 ? 0 : r.session->fed();
    if (cloud_holds == 0)
      r.cloud.close({{}, 2, 0});
    r.emitted.clear();
    r.rounds.clear();
    r.session->set({5, 3, 4});
    INFO("seed " << seed << ", after " << before.size() << " tokens");
    r.take(r.session->begin(cloud_holds));
    while (r.finish == finish_reason::none)
      r.step();
    before.insert(before.end(), r.emitted.begin(), r.emitted.end());
    CHECK(before == truth(work));
  }
}

TEST_CASE("drafted tokens have the distribution of the target", "[actors][hat]") {
  const std::vector<token_id> prompt{4, 8, 15, 16};
  constexpr int seeds = 4000;
  // What the second token is distributed like: over all first ones.
  auto whole = shard({{stage_kind::embedding}, {stage_kind::layers, 0, layer_count}, {stage_kind::head}});
  auto distribution = [&](std::vector<token_id> text) {
    models::segment s{whole->open(), 0, 2, 0, std::move(text), {}, {}};
    s.want.logits = rows_wanted::last;
    auto p = models::test::numbers(whole->step(std::span{&s, 1})[0].logits);
    whole->close(s.seq);
    double sum = 0;
    for (auto& x : p)
      sum += x = std::exp(x);
    for (auto& x : p)
      x /= sum;
    return p;
  };
  auto first = distribution(prompt);
  std::vector<double> expected(first.size());
  for (token_id a = 0; a < first.size(); ++a) {
    auto text = prompt;
    text.push_back(a);
    auto second = distribution(text);
    for (std::size_t b = 0; b < second.size(); ++b)
      expected[b] += seeds * first[a] * second[b];
  }
  std::vector<double> seen(first.size());
  std::uint32_t stood = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    auto r = make_rig(bridge::adapter, 2, seed);
    auto out = r.answer(work_of(prompt, 3, {1.0, seed}), {2, 0.0, false, 2, 2, 0, 4}, {2, 2, 512});
    ++seen[out[1]];
    for (auto& round : r.rounds)
      stood += round.accepted;
  }
  double chi = 0, rest_seen = 0, rest_expected = 0, cells = 0;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (expected[i] < 10) {
      rest_seen += seen[i];
      rest_expected += expected[i];
      continue;
    }
    chi += (seen[i] - expected[i]) * (seen[i] - expected[i]) / expected[i];
    ++cells;
  }
  if (rest_expected > 0)
    chi += (rest_seen - rest_expected) * (rest_seen - rest_expected) / rest_expected;
  CHECK(cells > 20);
  CHECK(stood > 100);  // the noise that both share makes some drafts of a random adapter right
  CHECK(chi < cells + 4 * std::sqrt(2 * cells));  // four deviations of the distribution
}
