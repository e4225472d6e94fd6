// What a layer does between its products: every set of kernels that runs here beside plain arithmetic in f64.
#include "models/kernels/kernels.hpp"
#include "models/small_floats.hpp"
#include "tests/support/catch.hpp"

#include <cmath>
#include <random>

using namespace virga;
using namespace virga::models;
using namespace virga::models::kernels;

namespace {

std::vector<float> normal(std::size_t count, std::mt19937& random) {
  std::normal_distribution<float> d;
  std::vector<float> out(count);
  for (auto& x : out)
    x = d(random);
  return out;
}

/// One head of keys and values over pages, and the same as plain rows.
struct history {
  history(const kernel_set& k, std::uint32_t dim, std::uint32_t length, bool as_bf16, std::mt19937& random)
      : dim_(dim), bf16(as_bf16), keys(normal(std::size_t{length} * dim, random)),
        values(normal(std::size_t{length} * dim, random)) {
    for (std::uint32_t p = 0; p < length; ++p) {
      if (p % page_positions == 0)  // what was never written must not matter
        bytes.emplace_back(std::size_t{2} * dim * page_positions, NAN);
      auto* page = bytes.back().data();
      auto* v = bf16 ? static_cast<void*>(reinterpret_cast<std::uint16_t*>(page) + dim * page_positions)
                     : page + dim * page_positions;
      k.keep(&keys[std::size_t{p} * dim], &values[std::size_t{p} * dim], dim, bf16, p % page_positions, page, v);
    }
    for (auto& b : bytes)
      pages.push_back(b.data());
  }

  double number(float x) const { return bf16 ? from_bf16(to_bf16(x)) : x; }

  std::vector<double> plain(const float* q, std::uint64_t begin, std::uint64_t end) const {
    std::vector<double> p, out(dim_);
    double sum = 0;
    for (auto i = begin; i < end; ++i) {
      double score = 0;
      for (std::uint32_t d = 0; d < dim_; ++d)
        score += q[d] * number(keys[i * dim_ + d]);
      p.push_back(std::exp(score / std::sqrt(dim_)));
      sum += p.back();
    }
    for (auto i = begin; i < end; ++i)
      for (std::uint32_t d = 0; d < dim_; ++d)
        out[d] += p[i - begin] / sum * number(values[i * dim_ + d]);
    return out;
  }

  std::uint32_t dim_;
  bool bf16;
  std::vector<float> keys, values;
  std::vector<std::vector<float>> bytes;
  std::vector<const void*> pages;
};

std::vector<float> attend(const kernel_set& k, const history& h, std::vector<float>& q, std::uint64_t begin,
                          std::uint64_t end) {
  attention_task t;
  std::vector<float> out(q.size()), scores(7 * (h.pages.size() + 1) * page_positions);
  t.q = q.data();
  t.out = out.data();
  t.dim = h.dim_;
  t.queries = static_cast<std::uint32_t>(q.size()) / h.dim_;
  t.scale = 1 / std::sqrt(static_cast<float>(h.dim_));
  t.pages = h.pages.data();
  t.bf16 = h.bf16;
  t.value_offset = std::uint64_t{h.dim_} * page_positions;
  t.begin = begin;
  t.end = end;
  t.scores = scores.data();
  t.scores_stride = (h.pages.size() + 1) * page_positions;
  k.attend(t);
  return out;
}

} // namespace

TEST_CASE("attention over pages is that over plain rows", "[models][kernels]") {
  auto* k = GENERATE(from_range(kernels_here()));
  auto bf16 = GENERATE(false, true);
  std::mt19937 random(3);
  for (std::uint32_t dim : {2u, 8u, 12u, 40u, 64u, 80u, 128u})
    for (std::uint32_t queries : {1u, 2u, 3u, 5u, 7u, 8u, 15u})
      for (auto [begin, end] : {std::pair{0u, 1u}, {0u, 64u}, {0u, 65u}, {3u, 150u}, {64u, 129u}, {70u, 71u}}) {
        CAPTURE(k->name, bf16, dim, queries, begin, end);
        history h(*k, dim, end, bf16, random);
        auto q = normal(std::size_t{queries} * dim, random);
        auto out = attend(*k, h, q, begin, end);
        double worst = 0;
        for (std::uint32_t r = 0; r < queries; ++r) {
          auto right = h.plain(&q[std::size_t{r} * dim], begin, end);
          for (std::uint32_t d = 0; d < dim; ++d)
            worst = std::max(worst, std::abs(right[d] - out[std::size_t{r} * dim + d]));
        }
        REQUIRE(worst < 1e-5);
      }
}

TEST_CASE("a query's attention does not depend on the queries beside it", "[models][kernels]") {
  auto* k = GENERATE(from_range(kernels_here()));
  std::mt19937 random(4);
  history h(*k, 40, 130, false, random);
  auto q = normal(7 * 40, random);
  auto all = attend(*k, h, q, 0, 130);
  for (std::ptrdiff_t r = 0; r < 7; ++r) {
    std::vector<float> one(q.begin() + r * 40, q.begin() + (r + 1) * 40);
    auto alone = attend(*k, h, one, 0, 130);
    REQUIRE(std::equal(alone.begin(), alone.end(), all.begin() + r * 40));
  }
}

TEST_CASE("a key that is NaN makes what sees it NaN, and nothing else", "[models][kernels]") {
  auto* k = GENERATE(from_range(kernels_here()));
  std::mt19937 random(5);
  history h(*k, 16, 100, false, random);
  h.keys[90 * 16] = NAN;
  k->keep(&h.keys[90 * 16], &h.values[90 * 16], 16, false, 90 % 64, h.bytes[1].data(),
          h.bytes[1].data() + 16 * page_positions);
  auto q = normal(16, random);
  for (auto x : attend(*k, h, q, 0, 90))
    CHECK(std::isfinite(x));
  for (auto x : attend(*k, h, q, 0, 91))
    CHECK(std::isnan(x));
}

TEST_CASE("norms, turns and the gate are those of plain arithmetic", "[models][kernels]") {
  auto* k = GENERATE(from_range(kernels_here()));
  std::mt19937 random(6);
  for (std::uint32_t n : {2u, 7u, 16u, 40u, 160u, 897u}) {
    CAPTURE(k->name, n);
    auto x = normal(n, random), w = normal(n, random);
    std::vector<float> out(n);
    k->rms_norm(x.data(), w.data(), 1e-6f, n, out.data());
    double mean = 0;
    for (auto v : x)
      mean += double{v} * v / n;
    for (std::uint32_t i = 0; i < n; ++i)
      REQUIRE(out[i] == Approx(x[i] / std::sqrt(mean + 1e-6) * w[i]).epsilon(1e-5));
    k->swiglu(x.data(), w.data(), n, out.data());
    for (std::uint32_t i = 0; i < n; ++i)
      REQUIRE(out[i] == Approx(x[i] / (1 + std::exp(-double{x[i]})) * w[i]).epsilon(1e-5).margin(1e-9));
    auto half = n / 2;
    auto head = x, cos = normal(n, random), sin = normal(n, random);
    k->rotate(head.data(), cos.data(), sin.data(), half);
    for (std::uint32_t i = 0; i < half; ++i) {
      REQUIRE(head[i] == Approx(double{x[i]} * cos[i] - double{x[half + i]} * sin[i]).epsilon(1e-5).margin(1e-6));
      REQUIRE(head[half + i]
              == Approx(double{x[half + i]} * cos[i] + double{x[i]} * sin[i]).epsilon(1e-5).margin(1e-6));
    }
  }
}

TEST_CASE("a row of logits is summed up as plain arithmetic does it", "[models][kernels]") {
  auto* k = GENERATE(from_range(kernels_here()));
  std::mt19937 random(7);
  for (std::uint32_t n : {1u, 2u, 15u, 16u, 17u, 33u, 654u, 2100u, 151936u}) {
    CAPTURE(k->name, n);
    auto x = normal(n, random);
    for (auto at : {0u, n / 3, n / 2, n - 1}) {
      auto row = x;
      row[at] = 9;
      row[n - 1] = 9;  // the first of equals counts
      if (n > 8)
        row[1] = -INFINITY;
      double sum = 0;
      for (auto v : row)
        sum += std::exp(double{v} - 9);
      auto s = k->summarise(row.data(), n);
      REQUIRE(s.most == 9);
      REQUIRE(s.at == (n > 8 && at == 1 ? n - 1 : at));
      REQUIRE(s.exponentials == Approx(sum).epsilon(1e-6));
      row[n / 2] = NAN;
      REQUIRE(std::isnan(k->summarise(row.data(), n).exponentials));
      row[n / 2] = INFINITY;
      REQUIRE(!std::isfinite(k->summarise(row.data(), n).most));
    }
  }
}
