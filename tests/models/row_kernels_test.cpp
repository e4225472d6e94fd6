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
  history(const kernel_set& k, std::uint32_t dim, std::uint32_t length, dtype kept, std::mt19937& random)
      : dim_(dim), layout{kept, 1, dim}, keys(normal(std::size_t{length} * dim, random)),
        values(normal(std::size_t{length} * dim, random)) {
    for (std::uint32_t p = 0; p < length; ++p) {
      if (p % page_positions == 0)  // what was never written must not matter
        bytes.emplace_back(layout.bytes() / sizeof(float), NAN);
      keep(k, p);
    }
    for (auto& b : bytes)
      pages.push_back(b.data());
  }

  void keep(const kernel_set& k, std::uint32_t p) {
    k.keep(&keys[std::size_t{p} * dim_], &values[std::size_t{p} * dim_], dim_, layout.type, p % page_positions,
           bytes[p / page_positions].data(), layout.place(0));
  }

  /// The key or value of a position as it is kept.
  std::vector<float> row(bool key, std::uint64_t p) const {
    const auto& all = key ? keys : values;
    std::vector<float> x(all.begin() + static_cast<std::ptrdiff_t>(p * dim_),
                         all.begin() + static_cast<std::ptrdiff_t>((p + 1) * dim_));
    const auto* page = reinterpret_cast<const std::byte*>(pages[p / page_positions]);
    const auto at = layout.place(0);
    const auto position = static_cast<std::uint32_t>(p % page_positions);
    for (std::uint32_t d = 0; d < dim_; ++d) {
      if (layout.type == dtype::bf16) {
        const auto kept = reinterpret_cast<const std::uint16_t*>(
            page + (key ? at.keys : at.values))[key ? layout.key_at(position, d) : layout.value_at(position, d)];
        if (kept != to_bf16(x[d]))
          throw std::logic_error("a number was not kept as the nearest bf16");
        x[d] = from_bf16(kept);
      }
      if (layout.type != dtype::i8_rows)
        continue;
      const auto scale = reinterpret_cast<const float*>(page + (key ? at.key_scales : at.value_scales))[position];
      const auto step = static_cast<std::int8_t>(
          page[key ? at.keys + layout.key_at(position, d) : at.values + layout.value_at(position, d)]);
      if (std::abs(x[d] - step * scale) > 0.5001f * scale)
        throw std::logic_error("a number was not kept as the nearest step");
      x[d] = step * scale;
    }
    return x;
  }

  /// Beside bf16 the kernels round queries, as is done here, and probabilities, which changes a result by `slack` at
  /// most.
  std::vector<double> plain(const float* q, std::uint64_t begin, std::uint64_t end, double& slack) const {
    std::vector<double> p, out(dim_), sizes(dim_);
    double sum = 0;
    for (auto i = begin; i < end; ++i) {
      double score = 0;
      const auto key = row(true, i);
      for (std::uint32_t d = 0; d < dim_; ++d)
        score += double{layout.type == dtype::bf16 ? from_bf16(to_bf16(q[d])) : q[d]} * key[d];
      p.push_back(std::exp(score / std::sqrt(dim_)));
      sum += p.back();
    }
    for (auto i = begin; i < end; ++i) {
      const auto value = row(false, i);
      for (std::uint32_t d = 0; d < dim_; ++d) {
        out[d] += p[i - begin] / sum * value[d];
        sizes[d] += p[i - begin] / sum * std::abs(value[d]);
      }
    }
    slack = layout.type == dtype::bf16 ? 0x1p-9 * *std::max_element(sizes.begin(), sizes.end()) : 0;
    return out;
  }

  std::uint32_t dim_;
  page_layout layout;
  std::vector<float> keys, values;
  std::vector<std::vector<float>> bytes;
  std::vector<const void*> pages;
};

std::vector<float> attend(const kernel_set& k, const history& h, std::vector<float>& q, std::uint64_t begin,
                          std::uint64_t end) {
  attention_task t;
  std::vector<float> out(q.size()), room(attention_room(h.dim_, h.pages.size()));
  t.q = q.data();
  t.out = out.data();
  t.dim = h.dim_;
  t.queries = static_cast<std::uint32_t>(q.size()) / h.dim_;
  t.scale = 1 / std::sqrt(static_cast<float>(h.dim_));
  t.pages = h.pages.data();
  t.type = h.layout.type;
  t.at = h.layout.place(0);
  t.begin = begin;
  t.end = end;
  t.room = room.data();
  k.attend(t);
  return out;
}

} // namespace

TEST_CASE("attention over pages is that over plain rows", "[models][kernels]") {
  auto* k = GENERATE(from_range(kernels_here()));
  auto kept = GENERATE(dtype::f32, dtype::bf16, dtype::i8_rows);
  std::mt19937 random(3);
  for (std::uint32_t dim : {2u, 8u, 12u, 40u, 64u, 80u, 128u})
    for (std::uint32_t queries : {1u, 2u, 3u, 5u, 7u, 8u, 15u})
      for (auto [begin, end] : {std::pair{0u, 1u}, {0u, 64u}, {0u, 65u}, {3u, 150u}, {64u, 129u}, {70u, 71u}}) {
        CAPTURE(k->name, to_string(kept), dim, queries, begin, end);
        history h(*k, dim, end, kept, random);
        auto q = normal(std::size_t{queries} * dim, random);
        auto out = attend(*k, h, q, begin, end);
        for (std::uint32_t r = 0; r < queries; ++r) {
          double worst = 0, slack = 0;
          auto right = h.plain(&q[std::size_t{r} * dim], begin, end, slack);
          for (std::uint32_t d = 0; d < dim; ++d)
            worst = std::max(worst, std::abs(right[d] - out[std::size_t{r} * dim + d]));
          REQUIRE(worst < 1e-5 + slack);
        }
      }
}

TEST_CASE("a query's attention does not depend on the queries beside it", "[models][kernels]") {
  auto* k = GENERATE(from_range(kernels_here()));
  std::mt19937 random(4);
  const std::ptrdiff_t dim = GENERATE(6, 40, 64, 96);
  history h(*k, static_cast<std::uint32_t>(dim), 163, GENERATE(dtype::f32, dtype::bf16, dtype::i8_rows), random);
  for (std::ptrdiff_t together : {2, 4, 7, 8}) {
    auto q = normal(static_cast<std::size_t>(together * dim), random);
    for (auto [begin, end] : {std::pair{0u, 163u}, {0u, 128u}, {33u, 162u}, {97u, 98u}}) {
      auto all = attend(*k, h, q, begin, end);
      for (std::ptrdiff_t r = 0; r < together; ++r) {
        std::vector<float> one(q.begin() + r * dim, q.begin() + (r + 1) * dim);
        auto alone = attend(*k, h, one, begin, end);
        REQUIRE(std::equal(alone.begin(), alone.end(), all.begin() + r * dim));
      }
    }
  }
}

TEST_CASE("a key or value that is NaN shows in what sees it, and in nothing else", "[models][kernels]") {
  auto* k = GENERATE(from_range(kernels_here()));
  std::mt19937 random(5);
  auto kept = GENERATE(dtype::f32, dtype::bf16, dtype::i8_rows);
  history h(*k, 16, 100, kept, random);
  (GENERATE(false, true) ? h.keys : h.values)[90 * 16 + 3] = kept == dtype::i8_rows ? GENERATE(NAN, INFINITY) : NAN;
  h.keep(*k, 90);
  auto q = normal(16, random);
  for (auto x : attend(*k, h, q, 0, 90))
    CHECK(std::isfinite(x));
  for (auto x : attend(*k, h, q, 91, 100))
    CHECK(std::isfinite(x));
  std::size_t seen = 0;
  for (auto x : attend(*k, h, q, 0, 91))
    seen += !std::isfinite(x);
  CHECK(seen > 0);
}

TEST_CASE("a row of zeros and a row of tiny numbers are kept as bytes", "[models][kernels]") {
  auto* k = GENERATE(from_range(kernels_here()));
  std::mt19937 random(7);
  history h(*k, 24, 3, dtype::i8_rows, random);
  std::fill_n(h.keys.begin(), 24, 0.f);
  std::fill_n(h.values.begin(), 24, 0.f);
  std::fill_n(h.keys.begin() + 24, 24, 1e-40f);
  std::fill_n(h.values.begin() + 24, 24, 3e37f);
  h.keep(*k, 0);
  h.keep(*k, 1);
  auto q = normal(24, random);
  for (auto x : attend(*k, h, q, 0, 1))
    CHECK(x == 0);
  for (auto x : attend(*k, h, q, 1, 2))
    CHECK(x == Approx(3e37));
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
