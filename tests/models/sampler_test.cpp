#include "models/sampler.hpp"
#include "tests/support/catch.hpp"

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

TEST_CASE("f32 and f64 rows of the same values give the same choice", "[models][sampler]") {
  std::vector<float> narrow{0.25f, 1.5f, -3.f, 1.375f};
  std::vector<double> wide(narrow.begin(), narrow.end());
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    auto a = choose_token(std::span<const float>(narrow), {1.0, seed}, 5, 2);
    auto b = choose_token(std::span<const double>(wide), {1.0, seed}, 5, 2);
    CHECK(a.id == b.id);
    CHECK(a.logprob == b.logprob);
    CHECK(a.confidence == b.confidence);
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
