// models/reference/attention.hpp: causal attention of one row over the pages of its own sequence.
// A page of one lane: keys [kv_heads, head_dim, positions], then values [kv_heads, positions, head_dim].
#pragma once

#include "models/defaults.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace virga::models::reference {

struct head_shape {
  std::size_t heads = 0, kv_heads = 0, dim = 0;
  std::size_t page_reals() const { return 2 * kv_heads * dim * defaults::kv_page_positions; }
};

/// Turns each head of one row. @param x [heads, dim] @param cos, sin [dim / 2]
template <class Real>
void rotate(Real* x, std::size_t heads, std::size_t dim, const Real* cos, const Real* sin) {
  for (std::size_t h = 0; h < heads; ++h, x += dim)
    for (std::size_t d = 0, half = dim / 2; d < half; ++d) {
      Real a = x[d], b = x[d + half];
      x[d] = a * cos[d] - b * sin[d];
      x[d + half] = b * cos[d] + a * sin[d];
    }
}

/// Writes one position. @param k, v [kv_heads, dim]
template <class Real>
void store(Real* page, std::size_t position, const Real* k, const Real* v, const head_shape& s) {
  constexpr std::size_t per_page = defaults::kv_page_positions;
  auto at = position % per_page;
  Real* values = page + s.page_reals() / 2;
  for (std::size_t g = 0; g < s.kv_heads; ++g)
    for (std::size_t d = 0; d < s.dim; ++d) {
      page[(g * s.dim + d) * per_page + at] = k[g * s.dim + d];
      values[(g * per_page + at) * s.dim + d] = v[g * s.dim + d];
    }
}

/// Reads one position. @param k, v [kv_heads, dim]
template <class Real>
void load(const Real* page, std::size_t position, Real* k, Real* v, const head_shape& s) {
  constexpr std::size_t per_page = defaults::kv_page_positions;
  auto at = position % per_page;
  const Real* values = page + s.page_reals() / 2;
  for (std::size_t g = 0; g < s.kv_heads; ++g)
    for (std::size_t d = 0; d < s.dim; ++d) {
      k[g * s.dim + d] = page[(g * s.dim + d) * per_page + at];
      v[g * s.dim + d] = values[(g * per_page + at) * s.dim + d];
    }
}

/// One query head over the keys of positions [begin, end). @param q, out [dim] @param group its kv head
template <class Real>
void attend(const std::vector<const Real*>& pages, std::size_t begin, std::size_t end, std::size_t group,
            const head_shape& s, const Real* q, Real* out) {
  constexpr std::size_t per_page = defaults::kv_page_positions;
  thread_local std::vector<Real> weight;
  weight.assign(end - begin, Real{0});
  for (std::size_t first = begin, n = 0; first < end; first += n) {
    const Real* keys = pages[first / per_page] + group * s.dim * per_page + first % per_page;
    n = std::min(per_page - first % per_page, end - first);
    for (std::size_t d = 0; d < s.dim; ++d)
      for (std::size_t j = 0; j < n; ++j)
        weight[first - begin + j] += q[d] * keys[d * per_page + j];
  }
  const Real scale = Real{1} / std::sqrt(static_cast<Real>(s.dim));
  Real top = *std::max_element(weight.begin(), weight.end()) * scale, sum = 0;
  for (auto& w : weight)
    sum += w = std::exp(w * scale - top);
  std::fill(out, out + s.dim, Real{0});
  for (std::size_t j = begin; j < end; ++j) {
    const Real* value = pages[j / per_page] + s.page_reals() / 2 + (group * per_page + j % per_page) * s.dim;
    for (std::size_t d = 0; d < s.dim; ++d)
      out[d] += weight[j - begin] / sum * value[d];
  }
}

} // namespace virga::models::reference
