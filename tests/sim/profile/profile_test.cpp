// HAT on a small piece of the paper's profile: what helps what, and that the figures stand on right texts. No values:
// those are the program's, see docs/systems/hat.md.
#include "tests/sim/profile/figures.hpp"
#include "tests/support/catch.hpp"

#include <spdlog/spdlog.h>

#include <array>
#include <cmath>

using namespace virga;
using namespace virga::testing;

namespace {

world_options small(method how) {
  world_options o;
  o.profile = paper_profiles().front();
  o.how = how;
  o.devices = 12;
  o.answer_tokens = 48;
  o.warm_s = 2;
  o.measured_s = 6;
  return o;
}

figures run(const world_options& o) {
  world w{o};
  w.run_all();
  auto f = figures_of(w);
  INFO((f.wrong > 0 ? complaints(w).front() : ""));
  CHECK(f.wrong == 0);
  CHECK(f.requests > 20);
  return f;
}

cost_options head_of(double sure) {
  cost_options o;
  o.stages = {{models::stage_kind::embedding},
              {models::stage_kind::layers, 0, 2},
              {models::stage_kind::adapter, 2, 2},
              {models::stage_kind::head}};
  o.costs.resize(4);
  o.model_layers = 8;
  o.row_bytes = 64;
  o.sure_share = sure;
  return o;
}

models::segment of_tokens(models::sequence seq, std::uint64_t base, std::vector<token_id> tokens,
                          std::uint32_t last_stage) {
  models::segment s;
  s.seq = seq;
  s.last_stage = last_stage;
  s.base = base;
  s.tokens = std::move(tokens);
  s.want.rows = rows_wanted::all;
  s.want.rows_stage = 1;
  s.want.tokens = last_stage == 3 ? rows_wanted::last : rows_wanted::none;
  s.want.alternatives = 2;
  return s;
}

} // namespace

TEST_CASE("on the paper's profile chunks bring the first token sooner, drafts and guesses the others",
          "[sim][profile]") {
  spdlog::set_level(spdlog::level::off);
  std::array<figures, method_count> of;
  for (std::size_t m = 0; m < method_count; ++m)
    of[m] = run(small(static_cast<method>(m)));
  auto& [u_shape, u_sarathi, chunked, speculative, both, hat, ahead] = of;
  CHECK(chunked.ttft < 0.9 * u_shape.ttft);
  CHECK(hat.ttft < u_shape.ttft);
  CHECK(hat.ttft < u_sarathi.ttft);
  CHECK(speculative.tbt < u_shape.tbt);
  CHECK(both.tbt < chunked.tbt);
  CHECK(both.tbt < speculative.tbt);
  CHECK(hat.tbt < both.tbt);
  CHECK(hat.guessed > 0.3);
  CHECK(ahead.tbt < both.tbt);
  for (auto& f : of) {
    CHECK(f.ttft > f.ttft_floor);
    CHECK((&f == &ahead || f.tbt > f.tbt_floor));  // whose rounds overlap
  }
  CHECK(both.tokens_a_round > 1.4);
}

TEST_CASE("a row that does not belong behind a cache is refused, so the texts of the profile prove something",
          "[sim][profile]") {
  cost_shard device{head_of(0.5)}, cloud{[] {
    auto o = head_of(0.5);
    o.stages = {{models::stage_kind::layers, 2, 8}};
    o.costs.resize(1);
    return o;
  }()};
  auto seq = device.open(), other = device.open(), deep = cloud.open();
  auto right = of_tokens(seq, 0, {5, 6, 7}, 1), wrong = of_tokens(other, 0, {5, 9, 7}, 1);
  auto rows = device.step(std::span{&right, 1})[0].rows, strange = device.step(std::span{&wrong, 1})[0].rows;
  models::segment up{deep, 0, 0, 0, {}, rows, {}};
  up.rows.rows = 2;
  up.rows.data.resize(128);
  cloud.step(std::span{&up, 1});
  up.base = 2;
  up.rows = strange;
  up.rows.rows = 1;
  up.rows.data.erase(up.rows.data.begin(), up.rows.data.begin() + 128);
  CHECK_THROWS_AS(cloud.step(std::span{&up, 1}), models::bad_segment);
  up.base = 1;
  CHECK_THROWS_AS(cloud.step(std::span{&up, 1}), models::stale_position);
}

TEST_CASE("the profile's adapter is right as often as it claims", "[sim][profile]") {
  cost_shard device{head_of(0.55)};
  auto seq = device.open();
  double claimed = 0, right = 0, second = 0;
  constexpr int tokens = 4000;
  std::vector<token_id> history{1};
  for (std::uint64_t at = 0; at < tokens; ++at) {
    auto s = of_tokens(seq, at, {history.back()}, 3);
    auto choice = device.step(std::span{&s, 1})[0].choices.at(0);
    auto target = target_answer(history, 1)[0];
    claimed += choice.confidence;
    right += choice.id == target ? 1 : 0;
    second += choice.alternatives.at(0) == target ? 1 : 0;
    history.push_back(target);
    device.truncate(seq, at + 1);
  }
  CHECK(std::abs(right - claimed) < 0.03 * tokens);
  CHECK(std::abs(second - 0.3 * (tokens - claimed)) < 0.03 * tokens);
}
