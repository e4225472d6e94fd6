#include "models/sampler.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <set>

using namespace virga;
using namespace virga::models;

namespace {

choice pick(const std::vector<double>& logits, double temperature, std::uint64_t seed = 0, std::uint64_t position = 0,
            std::uint32_t top_n = 0) {
  return choose_token(std::span<const double>(logits), {temperature, seed}, position, top_n);
}

} // namespace

TEST_CASE("greedy takes the largest logit and the lowest id of equals", "[models][sampler]") {
  CHECK(pick({1, 3, 2}, 0).id == 1);
  CHECK(pick({3, 1, 3, 3}, 0).id == 0);
  CHECK(pick({-5, -INFINITY, -5}, 0).id == 0);
  CHECK(pick({-1e300, 1e300}, 0).id == 1);
}

TEST_CASE("a row in f32 is chosen from as one in f64", "[models][sampler]") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    std::vector<float> row;
    for (token_id t = 0; t < 700; ++t)
      row.push_back(static_cast<float>(gumbel(seed, t, 0)));
    row[3] = -INFINITY;
    const sampling how{seed % 2 == 0 ? 0.0 : 1.0, seed};
    auto a = pick({row.begin(), row.end()}, how.temperature, seed, 5), b = choose_token(std::span<const float>(row), how, 5, 0);
    CHECK(a.id == b.id);
    CHECK(a.logprob == Approx(b.logprob).margin(1e-6));
    CHECK(a.confidence == Approx(b.confidence).epsilon(1e-6));
  }
  std::vector<float> row(20, 1);
  for (float wrong : {NAN, INFINITY}) {
    row[17] = wrong;
    CHECK_THROWS_AS(choose_token(std::span<const float>(row), {}, 0, 0), bad_segment);
  }
  CHECK_THROWS_AS(choose_token(std::vector<float>(20, -INFINITY), {}, 0, 0), bad_segment);
}

TEST_CASE("log-probability and confidence are those of the untempered row", "[models][sampler]") {
  auto c = pick({std::log(1.), std::log(2.), std::log(5.)}, 0);
  CHECK(c.logprob == Approx(std::log(5. / 8)));
  CHECK(c.confidence == Approx(5. / 8));
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    auto s = pick({std::log(1.), std::log(2.), std::log(5.)}, 0.7, seed);
    CHECK(std::exp(s.logprob) == Approx(std::vector{1. / 8, 2. / 8, 5. / 8}.at(s.id)));
    CHECK(s.confidence == Approx(5. / 8));
  }
  CHECK(pick({10000, 10001}, 0).logprob == Approx(-std::log1p(std::exp(-1.))));
}

TEST_CASE("the best ids come in order with their log-probabilities", "[models][sampler]") {
  auto c = pick({std::log(2.), std::log(1.), std::log(3.), std::log(2.)}, 0, 0, 0, 3);
  REQUIRE(c.top.size() == 3);
  CHECK(c.top[0].id == 2);
  CHECK(c.top[1].id == 0);
  CHECK(c.top[2].id == 3);
  CHECK(c.top[1].logprob == Approx(std::log(2. / 8)));
  CHECK(pick({1, 2}, 0, 0, 0, 9).top.size() == 2);
}

TEST_CASE("the noise depends on seed, token and position and on nothing else", "[models][sampler]") {
  std::set<double> seen;
  for (std::uint64_t seed : {0ull, 1ull, ~0ull})
    for (token_id token : {0u, 1u, 7u})
      for (std::uint64_t position : {0ull, 1ull, 99ull}) {
        CHECK(gumbel(seed, token, position) == gumbel(seed, token, position));
        CHECK(std::isfinite(gumbel(seed, token, position)));
        seen.insert(gumbel(seed, token, position));
      }
  CHECK(seen.size() == 27);
  CHECK(gumbel(1, 2, 3) == Approx(0.5436620066).margin(1e-9));  // a resumed session draws what the first one drew
}

TEST_CASE("the noise has the moments of a standard Gumbel variable", "[models][sampler]") {
  double sum = 0, squares = 0;
  constexpr int n = 200000;
  for (int i = 0; i < n; ++i) {
    double g = gumbel(42, static_cast<token_id>(i % 500), static_cast<std::uint64_t>(i / 500));
    sum += g;
    squares += g * g;
  }
  double mean = sum / n;
  CHECK(mean == Approx(0.5772).margin(0.01));
  CHECK(squares / n - mean * mean == Approx(1.6449).margin(0.03));
}

TEST_CASE("sampling follows the tempered distribution", "[models][sampler]") {
  const std::vector<double> p{0.5, 0.3, 0.15, 0.05};
  std::vector<double> logits;
  for (double v : p)
    logits.push_back(std::log(v));
  for (double temperature : {1.0, 0.5}) {
    std::vector<double> share(4);
    double total = 0;
    for (double v : p)
      total += std::pow(v, 1 / temperature);
    constexpr int n = 40000;
    for (int i = 0; i < n; ++i)
      share[pick(logits, temperature, 7, static_cast<std::uint64_t>(i)).id] += 1.0 / n;
    for (int i = 0; i < 4; ++i)
      CHECK(share[i] == Approx(std::pow(p[i], 1 / temperature) / total).margin(0.01));
  }
}

TEST_CASE("rows that have no answer are refused", "[models][sampler]") {
  CHECK_THROWS_AS(pick({1, NAN, 2}, 0), bad_segment);
  CHECK_THROWS_AS(pick({}, 0), bad_segment);
  CHECK_THROWS_AS(pick({-INFINITY, -INFINITY}, 0), bad_segment);
  CHECK_THROWS_AS(pick({INFINITY, 0}, 0), bad_segment);
  CHECK_THROWS_AS(pick({1, 2}, -1), bad_segment);
  CHECK_THROWS_AS(pick({1, 2}, NAN), bad_segment);
  CHECK_THROWS_AS(pick({1, 2}, INFINITY), bad_segment);
  CHECK(pick({1, 2}, 1e-300).id == 1);
}

namespace {

token_id draw(const std::vector<double>& logits, const sampling& how, std::uint64_t position = 0, const seen_tokens& before = {}) {
  return choose_token(std::span<const double>(logits), how, position, 0, before).id;
}

/// The ids that many draws hit.
std::set<token_id> reached(const std::vector<double>& logits, sampling how) {
  std::set<token_id> out;
  for (how.seed = 0; how.seed < 3000; ++how.seed)
    out.insert(draw(logits, how));
  return out;
}

std::vector<double> logs(std::vector<double> p) {
  for (auto& v : p)
    v = std::log(v);
  return p;
}

} // namespace

TEST_CASE("top-k, top-p and min-p leave the likeliest tokens, ties to the lowest id", "[models][sampler]") {
  const auto row = logs({0.1, 0.4, 0.2, 0.2, 0.1});
  using ids = std::set<token_id>;
  sampling how{1};
  CHECK(reached(row, how) == ids{0, 1, 2, 3, 4});
  how.top_k = 1;
  CHECK(reached(row, how) == ids{1});
  how.top_k = 2;
  CHECK(reached(row, how) == ids{1, 2});
  how.top_k = 9;
  CHECK(reached(row, how) == ids{0, 1, 2, 3, 4});
  how = {1};
  how.top_p = 0.39;
  CHECK(reached(row, how) == ids{1});
  how.top_p = 0.41;
  CHECK(reached(row, how) == ids{1, 2});
  how.top_p = 0.79;
  CHECK(reached(row, how) == ids{1, 2, 3});
  how.top_k = 2;  // of 0.6, so that 0.4 is two thirds
  how.top_p = 0.6;
  CHECK(reached(row, how) == ids{1});
  how.top_p = 0.7;
  CHECK(reached(row, how) == ids{1, 2});
  how = {1};
  how.min_p = 0.49;
  CHECK(reached(row, how) == ids{1, 2, 3});
  how.min_p = 1;
  CHECK(reached(row, how) == ids{1});
  how = {2};  // tempered first: 0.5, 0.32, ...
  how.min_p = 0.6;
  CHECK(reached(row, how) == ids{1, 2, 3});
}

TEST_CASE("filters leave of large rows what sorting all of them would", "[models][sampler]") {
  std::vector<double> row(5000);
  for (std::size_t i = 0; i < row.size(); ++i)
    row[i] = -std::fmod(static_cast<double>(i) * 0.6180339887, 1.0) * 2;
  auto order = row;
  std::sort(order.rbegin(), order.rend());
  double all = 0;
  for (auto v : order)
    all += std::exp(v);
  for (double p : {0.01, 0.3, 0.9, 0.999}) {
    double have = 0;
    std::size_t n = 0;
    while (have < p * all)
      have += std::exp(order[n++]);
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      sampling how{1, seed};
      how.top_p = p;
      auto id = draw(row, how);
      CHECK(row[id] >= order[n - 1]);
      how.top_p = 1;
      how.top_k = static_cast<std::uint32_t>(n);
      CHECK(draw(row, how) == id);
    }
  }
}

TEST_CASE("filters do not move the noise of the tokens that they leave", "[models][sampler]") {
  const auto row = logs({0.3, 0.3, 0.2, 0.2});
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    sampling all{1, seed}, some{1, seed};
    some.top_k = 3;
    if (auto id = draw(row, all); id < 3)
      CHECK(draw(row, some) == id);
  }
}

TEST_CASE("a bias is added to the logit, and the log-probability stays the model's", "[models][sampler]") {
  const auto row = logs({0.5, 0.25, 0.25});
  sampling how;
  how.logit_bias = {{2, 5}};
  CHECK(draw(row, how) == 2);
  CHECK(std::exp(choose_token(std::span<const double>(row), how, 0, 0).logprob) == Approx(0.25));
  how.logit_bias = {{0, -100}, {1, -100}};
  how.temperature = 1;
  CHECK(reached(row, how) == std::set<token_id>{2});
}

TEST_CASE("penalties count the tokens before the choice", "[models][sampler]") {
  const std::vector<double> row{3, 2, -1, -1.5};
  const std::vector<token_id> before{0, 2, 1, 1};  // of which the first two are the prompt
  auto after = [&](const sampling& how, std::vector<double> r, std::size_t prompt = 2) {
    return draw(r, how, 4, {before, prompt});
  };
  sampling how;
  how.repetition_penalty = 2;  // 1.5, 1, -2, -1.5
  CHECK(after(how, {3, 2, -1, 1.6}) == 3);
  CHECK(after(how, {3, 2, -1, 1.4}) == 0);
  CHECK(after(how, {-3, -3, -3, -3.5}) == 3);
  how = {};
  how.presence_penalty = 1.5;  // only 1, once: 3, 0.5
  CHECK(after(how, {1, 2, 0.4, 0}) == 0);
  CHECK(after(how, {0.4, 2, 0.3, 0.2}) == 1);
  CHECK(after(how, {0.4, 2, 0.3, 0.2}, 4) == 1);
  how = {};
  how.frequency_penalty = 1;  // 1 twice
  CHECK(after(how, {0, 2, 0.1, 0}) == 2);
  CHECK(after(how, {0, 2.2, 0.1, 0}) == 1);
  CHECK(after(how, {0, 2, 0.1, 0}, 4) == 1);
}

TEST_CASE("what is outside its range is named", "[models][sampler]") {
  auto said = [](auto change) {
    sampling how;
    change(how);
    return complaint(how, 4);
  };
  using Catch::Matchers::Contains;
  CHECK(said([](auto&) {}) == "");
  CHECK_THAT(said([](auto& h) { h.temperature = -1; }), Contains("temperature is -1"));
  CHECK_THAT(said([](auto& h) { h.temperature = NAN; }), Contains("temperature is nan"));
  CHECK_THAT(said([](auto& h) { h.top_p = 0; }), Contains("top_p is 0; it must be above 0 and at most 1"));
  CHECK_THAT(said([](auto& h) { h.top_p = 1.1; }), Contains("top_p"));
  CHECK_THAT(said([](auto& h) { h.min_p = -0.1; }), Contains("min_p"));
  CHECK_THAT(said([](auto& h) { h.repetition_penalty = 0; }), Contains("repetition_penalty"));
  CHECK_THAT(said([](auto& h) { h.presence_penalty = INFINITY; }), Contains("presence_penalty"));
  CHECK_THAT(said([](auto& h) { h.frequency_penalty = NAN; }), Contains("frequency_penalty"));
  CHECK_THAT(said([](auto& h) { h.logit_bias = {{4, 1}}; }), Contains("token 4"));
  CHECK_THAT(said([](auto& h) { h.logit_bias = {{1, NAN}}; }), Contains("logit_bias"));
  CHECK_THAT(said([](auto& h) { h.logit_bias = {{1, 1}, {1, 2}}; }), Contains("twice"));
  sampling bad;
  bad.top_p = 7;
  CHECK_THROWS_AS(draw({1, 2}, bad), bad_segment);
}
