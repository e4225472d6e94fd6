#include "actors/roles/chunk_planner.hpp"
#include "actors/roles/draft_length.hpp"
#include "actors/roles/draft_pace.hpp"
#include "tests/support/catch.hpp"

#include <limits>
#include <random>

using namespace virga;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity(), not_a_number = std::numeric_limits<double>::quiet_NaN();

/// g(x) = 20 ms + 0.06 ms x, as a sweep learns it.
delay_model affine(double fixed = 0.020, double per_row = 0.00006) {
  delay_model g;
  for (std::uint64_t x = 1; x <= 4096; x *= 2)
    g.add(x, fixed + per_row * static_cast<double>(x));
  return g;
}

chunk_view wifi(double megabytes_per_s, double wait_s) { return {8192, megabytes_per_s * 1e6, wait_s, 40, 4}; }

/// Time of the first token by events: chunk i+1 is uploaded while chunk i is computed, `stages` chunks at once.
double ttft(double prompt, double chunk, const chunk_view& v, const delay_model& g) {
  double arrived = 0, free = 0, done = 0;
  for (double sent = 0; sent < prompt; sent += chunk) {
    auto x = std::min(chunk, prompt - sent);
    arrived += x * v.row_bytes / v.up_bytes_per_s;
    auto begin = std::max(arrived + v.wait_s, free), took = g.predict(v.load_rows + x);
    free = begin + took / v.stages;
    done = begin + took;
  }
  return done;
}

} // namespace

TEST_CASE("a moving average begins with its first sample and weighs the past with 0.8", "[actors][hat]") {
  moving_average v;
  CHECK(v.empty());
  CHECK(v.value_or(7) == 7);
  v.add(10);
  CHECK(v.value_or(0) == 10);
  v.add(20);
  CHECK(v.value_or(0) == Approx(12));
  for (auto bad : {not_a_number, inf, -1.0})
    v.add(bad);
  CHECK(v.value_or(0) == Approx(12));
  for (int i = 0; i < 100; ++i)
    v.add(3);
  CHECK(v.value_or(0) == Approx(3));
}

TEST_CASE("the delay model repeats a sweep, goes on beyond it and never falls", "[actors][hat]") {
  auto g = affine();
  for (double x : {1.0, 3.0, 40.0, 100.0, 1000.0, 4096.0})
    CHECK(g.predict(x) == Approx(0.020 + 0.00006 * x));
  CHECK(g.predict(8192) == Approx(2 * g.predict(4096)));
  CHECK(g.predict(0) == Approx(g.predict(1)));
  CHECK(delay_model().predict(5) == 0);
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> noise(0.3, 3);
  for (int i = 0; i < 2000; ++i)
    g.add(1 + random() % 5000, noise(random));
  for (double x = 1; x < 9000; x *= 1.1)
    CHECK(g.predict(x * 1.1) >= g.predict(x));
  delay_model few;
  few.add(100, 1.0);
  CHECK(few.predict(100) == Approx(1.0).epsilon(0.35));
  CHECK(few.samples() == 1);
  few.add(0, 1.0);
  CHECK(few.samples() == 1);
}

TEST_CASE("a batch that was disturbed does not make its size look slow for good", "[actors][hat]") {
  delay_model g;
  for (std::uint64_t x = 1; x <= 64; x *= 2)
    g.add(x, 5.0);  // while something else ran
  g.add(512, 3.0);
  CHECK(g.predict(16) <= 3.0);
  for (int i = 0; i < 3; ++i)
    g.add(128, 0.9);
  CHECK(g.predict(16) <= 0.95);
  CHECK(g.predict(512) == Approx(3.0).epsilon(0.01));
  delay_model slow;
  slow.add(512, 60);
  slow.add(16, 0.1);
  CHECK(slow.predict(512) == Approx(3.2));
  slow.add(512, 60);
  CHECK(slow.predict(16) >= 60.0 * 16 / 512 - 0.01);
}

TEST_CASE("the delay model follows a machine that has become slower", "[actors][hat]") {
  auto g = affine();
  for (int i = 0; i < 60; ++i)
    g.add(64, 0.100);
  CHECK(g.predict(64) == Approx(0.100).epsilon(0.02));
}

TEST_CASE("a planned chunk takes the uplink as long as the cloud", "[actors][hat]") {
  auto g = affine();
  for (auto rule : {chunk_rule::apart, chunk_rule::shared})
    for (double rate : {5.0, 7.5, 10.0, 50.0})
      for (double wait : {0.0, 0.010, 0.025}) {
        auto v = wifi(rate, wait);
        auto x = plan_chunk(g, v, {16, 4096, 8, rule, 0});
        auto upload = [&](double rows) { return rows * v.row_bytes / v.up_bytes_per_s; };
        auto service = [&](double rows) {
          auto compute = g.predict(40 + rows);
          return rule == chunk_rule::apart ? wait + compute / 4 : (wait + compute) / 4;
        };
        INFO(rate << " MB/s, wait " << wait << ": " << x);
        CHECK(x % 8 == 0);
        CHECK((x == 4096 || upload(x) >= service(x)));
        CHECK((x == 16 || upload(x - 8) < service(x - 8)));
      }
}

TEST_CASE("both readings of the rule are within 8 % of the best chunk at Wi-Fi rates", "[actors][hat]") {
  auto g = affine();
  for (auto rule : {chunk_rule::apart, chunk_rule::shared})
    for (double rate : {5.0, 7.5, 10.0, 50.0}) {
      auto v = wifi(rate, 0.010);
      double best = inf;
      for (double x = 8; x <= 891; x += 1)
        best = std::min(best, ttft(891, x, v, g));
      INFO(rate << " MB/s");
      CHECK(ttft(891, plan_chunk(g, v, {16, 512, 8, rule, 0}), v, g) <= 1.08 * best);
    }
}

TEST_CASE("a slower uplink never gives a larger chunk, a longer wait never a smaller one", "[actors][hat]") {
  std::mt19937_64 random(11);
  auto in = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
  for (int round = 0; round < 300; ++round) {
    delay_model g;
    for (int i = 0; i < 40; ++i)
      g.add(1 + random() % 3000, in(1e-4, 0.2));
    chunk_limits limits{16, 512, 8, round % 2 == 0 ? chunk_rule::apart : chunk_rule::shared, round % 3 == 0 ? in(0.01, 0.3) : 0};
    chunk_view v{in(100, 20000), 1, in(0, 0.1), in(0, 200), 1 + static_cast<std::uint32_t>(random() % 5), random() % 2 == 0 ? 0 : in(1, 4000)};
    std::uint32_t before = 0;
    for (double rate = 1e3; rate < 1e11; rate *= 3) {
      v.up_bytes_per_s = rate;
      auto x = plan_chunk(g, v, limits);
      CHECK(x >= before);
      CHECK((x >= limits.least && x <= limits.most));
      before = x;
    }
    v.up_bytes_per_s = in(1e5, 1e8);
    before = 0;
    for (double wait = 0; wait < 2; wait = 2 * wait + 0.001) {
      v.wait_s = wait;
      auto x = plan_chunk(g, v, limits);
      CHECK(x >= before);
      before = x;
    }
  }
}

TEST_CASE("a chunk stays within its limits whatever is measured", "[actors][hat]") {
  auto g = affine();
  chunk_limits limits;
  for (double rate : {0.0, not_a_number, inf, -5.0})
    CHECK(plan_chunk(g, {8192, rate, 0.01, 40, 4}, limits) == 512);  // not measured
  CHECK(plan_chunk(g, {8192, 1e-300, 0.01, 40, 4}, limits) == 16);
  CHECK(plan_chunk(g, {8192, 1e300, 0.01, 40, 4}, limits) == 512);
  CHECK(plan_chunk(g, {not_a_number, 1e6, not_a_number, not_a_number, 0}, limits) == 512);
  CHECK(plan_chunk({}, {8192, 1e6, 0.01, 40, 4}, limits) == 512);
  limits.step_budget_s = 0.030;  // g(40 + x) reaches it at x = 126
  CHECK(plan_chunk(g, {8192, 1e300, 0.01, 40, 4}, limits) == 120);
  limits.step_budget_s = 1e-9;
  CHECK(plan_chunk(g, {8192, 1e300, 0.01, 40, 4}, limits) == 16);
}

TEST_CASE("a draft is longer when tokens stand, and shorter when each costs much", "[actors][hat]") {
  draft_length good(6), bad(6);
  for (int i = 0; i < 200; ++i) {
    good.add(6, i % 20 == 0 ? 2 : 6);
    bad.add(6, i % 5 == 0 ? 1 : 0);
  }
  auto flat = [](std::uint32_t) { return 0.020; };
  CHECK(good.best(0.0005, flat) == 6);
  CHECK(bad.best(0.010, flat) == 0);
  CHECK(good.best(1.0, flat) == 0);
  // A slow uplink pays for each row of the draft.
  auto slow = [](std::uint32_t k) { return 0.020 + 0.080 * (k + 1); };
  CHECK(bad.best(0.0005, slow) == 0);
  CHECK(bad.best(0.0, flat) >= 1);
}

TEST_CASE("expected tokens follow the acceptance of each position", "[actors][hat]") {
  draft_length d(4);
  CHECK(d.acceptance(1) == draft_length::first_guess);
  for (int i = 0; i < 400; ++i)
    d.add(2, i % 2 == 0 ? 2 : 1);  // the first always stands, the second half the time
  CHECK(d.acceptance(1) == Approx(1));
  CHECK(d.acceptance(2) == Approx(0.5).margin(0.1));
  CHECK(d.acceptance(3) == Approx(d.acceptance(2)));  // never tried: like the last that was
  CHECK(d.expected_tokens(0) == 1);
  CHECK(d.expected_tokens(1) == Approx(2));
  CHECK(d.expected_tokens(2) == Approx(2 + d.acceptance(2)));
  d.add(0, 0);
  CHECK(d.acceptance(1) == Approx(1).margin(0.001));
}

TEST_CASE("a first token that falls does not end drafting, and drafting that was given up is tried again", "[actors][hat]") {
  auto flat = [](std::uint32_t) { return 0.030; };
  draft_length d(6);
  d.add(6, 0);
  CHECK(d.best(0.010, flat) > 0);
  for (int i = 0; i < 100; ++i)
    d.add(1, 0);
  REQUIRE(d.best(0.010, flat) == 0);
  int rounds = 0;
  for (; d.best(0.010, flat) == 0 && rounds < 1000; ++rounds)
    d.add(0, 0);
  CHECK(rounds > 50);
  CHECK(rounds < 500);
}

TEST_CASE("the best length is the one with the most tokens per second", "[actors][hat]") {
  std::mt19937_64 random(5);
  auto in = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
  for (int round = 0; round < 200; ++round) {
    draft_length d(8);
    for (int i = 0; i < 60; ++i) {
      auto drafted = 1 + static_cast<std::uint32_t>(random() % 8);
      d.add(drafted, static_cast<std::uint32_t>(random() % (drafted + 1)));
    }
    auto step = in(0, 0.02), fixed = in(0.001, 0.1), row = in(0, 0.01);
    auto cost = [&](std::uint32_t k) { return fixed + row * (k + 1); };
    auto best = d.best(step, cost);
    for (std::uint32_t k = 0; k <= 8; ++k)
      CHECK(d.expected_tokens(best) / (best * step + cost(best)) >= d.expected_tokens(k) / (k * step + cost(k)) - 1e-9);
  }
}

namespace {

/// A device of 1 KiB rows on a link of 20 ms and 1 MB/s each way, whose cloud takes 2 ms.
draft_pace paced(draft_config how = {.most = 6, .chunk_rows = 0}) {
  draft_pace p(how, 1024);
  traffic link;
  link.rtt_us = 20'000;
  link.up_bytes_per_s = link.down_bytes_per_s = 1'000'000;
  p.on_link(link);
  p.on_suggestion(16);
  p.on_round(7, 7, {0, 2'000});
  p.on_draft_step(0.001);
  return p;
}

} // namespace

TEST_CASE("no step of a guess begins that the answer would wait for", "[actors][hat]") {
  auto p = paced();
  const auto wait = p.round_trip(7);
  CHECK(wait == Approx(0.022 + 2 * 7 * 1024e-6).epsilon(0.01));
  CHECK_FALSE(p.due(7, 0));
  CHECK_FALSE(p.due(7, wait - 0.0011));
  CHECK(p.due(7, wait - 0.0009));
  CHECK_FALSE(draft_pace({.most = 6}, 1024).due(7, 100));  // nothing is known of the cloud
}

TEST_CASE("where a round costs much beside its draft, tokens that seldom stand are worth drafting", "[actors][hat]") {
  auto most = [](double input_s) {
    auto p = paced();
    p.on_input_step(input_s);
    for (int i = 0; i < 200; ++i) {
      p.on_draft_step(0.020);
      p.on_verdict({1, static_cast<std::uint16_t>(i % 5 < 2 ? 1 : 0), draft_source::fresh});
    }
    return p.plan().most;
  };
  CHECK(most(0.001) == 0);
  CHECK(most(0.200) >= 1);
}

TEST_CASE("no round goes ahead where a lost bet costs the link more than a won one saves", "[actors][hat]") {
  auto ahead = [](std::uint64_t bytes_per_s, draft_source source) {
    auto p = paced();
    traffic link;
    link.rtt_us = 20'000;
    link.up_bytes_per_s = link.down_bytes_per_s = bytes_per_s;
    p.on_link(link);
    for (int i = 0; i < 20; ++i)
      p.on_verdict({6, 6, i % 2 == 0 ? source : draft_source::fresh});  // half of the bets come true at most
    return p.plan().ahead;
  };
  CHECK(ahead(10'000'000, draft_source::bonus_guess));
  CHECK(ahead(1'000'000, draft_source::bonus_guess));     // 7 rows there and back in 14 ms, a round trip of 20
  CHECK_FALSE(ahead(100'000, draft_source::bonus_guess));
  CHECK_FALSE(ahead(10'000'000, draft_source::fresh));    // none comes true
}

TEST_CASE("a chunk takes the uplink at least as long as the device", "[actors][hat]") {
  auto p = paced();
  CHECK(p.plan().chunk_rows == 16);
  p.on_input_step(0.050);  // in which 50 kB go up
  CHECK(p.plan().chunk_rows == 48);
  for (int i = 0; i < 100; ++i)
    p.on_input_step(5);
  CHECK(p.plan().chunk_rows == 512);
  auto as_told = paced({.most = 6, .chunk_rows = 24});
  as_told.on_input_step(0.050);
  CHECK(as_told.plan().chunk_rows == 24);
}

TEST_CASE("a device that has other things to do guesses no more", "[actors][hat]") {
  auto p = paced();
  CHECK(p.plan().hidden_steps > 0);
  for (int i = 0; i < 20; ++i)
    p.on_draft_step(0.004);
  CHECK(p.plan().hidden_steps == 0);
  for (int i = 0; i < 20; ++i)
    p.on_draft_step(0.001);
  CHECK(p.plan().hidden_steps > 0);
}

TEST_CASE("a round goes ahead while guesses come true and the cloud has time", "[actors][hat]") {
  auto p = paced();
  CHECK(p.plan().ahead);
  auto rounds = [&](draft_source source, work_times cloud) {
    for (int i = 0; i < 40; ++i) {
      p.on_verdict({6, 6, source});
      p.on_round(7, 7, cloud);
    }
  };
  rounds(draft_source::fresh, {0, 2'000});
  CHECK_FALSE(p.plan().ahead);
  rounds(draft_source::bonus_guess, {0, 2'000});
  CHECK(p.plan().ahead);
  rounds(draft_source::bonus_guess, {3'000, 2'000});  // they queue
  CHECK_FALSE(p.plan().ahead);
  CHECK_FALSE(paced({.most = 6, .ahead = false}).plan().ahead);
}

TEST_CASE("where the cloud is the bottleneck a prompt still goes up in chunks", "[actors][hat]") {
  const auto g = affine(0.3, 0.012);
  chunk_view v{3584, 3584 / 0.011, 0, 0, 1};  // a row travels a little faster than it is computed
  CHECK(plan_chunk(g, v, {}) == 512);
  v.prompt_rows = 512;
  const auto x = plan_chunk(g, v, {});
  for (double other : {16.0, 32.0, 256.0, 512.0})
    CHECK(ttft(512, x, v, g) < ttft(512, other, v, g));
}
