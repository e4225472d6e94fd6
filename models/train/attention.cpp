#include "models/train/attention.hpp"

#include <algorithm>
#include <cmath>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VIRGA_CLONES __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define VIRGA_CLONES
#endif
#define VIRGA_INLINE inline __attribute__((always_inline))

namespace virga::models::train::fused {

namespace {

/// One head of one example; rows of q, k, v lie `row` floats apart, rows of out `out_row`.
struct head_view {
  const float *q, *k, *v;
  std::int64_t count, row, out_row;
};

/// Known widths make the inner loops straight-line code; Width 0 takes any.
template <int Width>
VIRGA_INLINE float dot(const float* a, const float* b, std::int64_t dim) {
  const auto n = Width > 0 ? Width : dim;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

template <int Width>
VIRGA_INLINE void add_scaled(float* to, const float* from, float scale, std::int64_t dim) {
  const auto n = Width > 0 ? Width : dim;
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    to[i] += scale * from[i];
  }
}

template <int Width>
VIRGA_INLINE void head_forward(const head_view& h, std::int64_t dim, float* out, float* p) {
  const auto scale = 1 / std::sqrt(static_cast<float>(dim));
  for (std::int64_t i = 0; i < h.count; ++i, out += h.out_row) {
    auto largest = -HUGE_VALF;
    for (std::int64_t j = 0; j <= i; ++j) {
      p[j] = scale * dot<Width>(h.q + i * h.row, h.k + j * h.row, dim);
      largest = std::max(largest, p[j]);
    }
    float sum = 0;
    for (std::int64_t j = 0; j <= i; ++j) {
      p[j] = std::exp(p[j] - largest);
      sum += p[j];
    }
    for (std::int64_t j = 0; j <= i; ++j) {
      p[j] /= sum;
      add_scaled<Width>(out, h.v + j * h.row, p[j], dim);
    }
    p += i + 1;
  }
}

struct head_gradients {
  float *q, *k, *v;
};

template <int Width>
VIRGA_INLINE void head_backward(const head_view& h, std::int64_t dim, const float* dout, const float* p,
                                const head_gradients& d, float* scratch) {
  const auto scale = 1 / std::sqrt(static_cast<float>(dim));
  for (std::int64_t i = 0; i < h.count; ++i, dout += h.out_row) {
    float mean = 0;
    for (std::int64_t j = 0; j <= i; ++j) {
      scratch[j] = dot<Width>(dout, h.v + j * h.row, dim);
      mean += p[j] * scratch[j];
    }
    for (std::int64_t j = 0; j <= i; ++j) {
      const auto ds = p[j] * (scratch[j] - mean) * scale;
      add_scaled<Width>(d.q + i * h.row, h.k + j * h.row, ds, dim);
      add_scaled<Width>(d.k + j * h.row, h.q + i * h.row, ds, dim);
      add_scaled<Width>(d.v + j * h.row, dout, p[j], dim);
    }
    p += i + 1;
  }
}

std::int64_t pairs(std::int64_t count) { return count * (count + 1) / 2; }

struct head_place {
  std::int64_t q, k, v, out;
};

VIRGA_INLINE head_place place_of(const attention_shape& s, const stretch& e, std::int64_t head) {
  const auto kv = head / (s.heads / s.kv_heads), base = e.first * s.row();
  return {base + head * s.dim, base + (s.heads + kv) * s.dim, base + (s.heads + s.kv_heads + kv) * s.dim,
          (e.first * s.heads + head) * s.dim};
}

template <int Width>
VIRGA_INLINE void all_forward(const attention_shape& s, std::span<const stretch> examples, const float* qkv, float* out,
                              float* memory) {
  for (const auto& e : examples) {
    for (std::int64_t head = 0; head < s.heads; ++head, memory += pairs(e.count)) {
      const auto at = place_of(s, e, head);
      head_forward<Width>({qkv + at.q, qkv + at.k, qkv + at.v, e.count, s.row(), s.heads * s.dim}, s.dim, out + at.out,
                          memory);
    }
  }
}

template <int Width>
VIRGA_INLINE void all_backward(const attention_shape& s, std::span<const stretch> examples, const float* qkv,
                               const float* memory, const float* dout, float* dqkv, float* scratch) {
  for (const auto& e : examples) {
    for (std::int64_t head = 0; head < s.heads; ++head, memory += pairs(e.count)) {
      const auto at = place_of(s, e, head);
      head_backward<Width>({qkv + at.q, qkv + at.k, qkv + at.v, e.count, s.row(), s.heads * s.dim}, s.dim, dout + at.out,
                           memory, {dqkv + at.q, dqkv + at.k, dqkv + at.v}, scratch);
    }
  }
}

} // namespace

std::vector<stretch> find_stretches(std::span<const std::uint32_t> segments) {
  std::vector<stretch> found;
  for (std::size_t at = 0; at < segments.size();) {
    auto end = at;
    while (end < segments.size() && segments[end] == segments[at]) {
      ++end;
    }
    if (segments[at] != 0) {
      found.push_back({static_cast<std::int64_t>(at), static_cast<std::int64_t>(end - at)});
    }
    at = end;
  }
  return found;
}

std::int64_t attention_memory(const attention_shape& s, std::span<const stretch> examples) {
  std::int64_t sum = 0;
  for (const auto& e : examples) {
    sum += s.heads * pairs(e.count);
  }
  return sum;
}

VIRGA_CLONES
void attention(const attention_shape& s, std::span<const stretch> examples, const float* qkv, float* out, float* memory) {
  std::fill_n(out, s.places * s.heads * s.dim, 0.0f);
  switch (s.dim) {
    case 20: return all_forward<20>(s, examples, qkv, out, memory);
    case 40: return all_forward<40>(s, examples, qkv, out, memory);
    default: return all_forward<0>(s, examples, qkv, out, memory);
  }
}

VIRGA_CLONES
void attention_backward(const attention_shape& s, std::span<const stretch> examples, const float* qkv,
                        const float* memory, const float* dout, float* dqkv) {
  std::fill_n(dqkv, s.places * s.row(), 0.0f);
  std::int64_t longest = 0;
  for (const auto& e : examples) {
    longest = std::max(longest, e.count);
  }
  std::vector<float> scratch(static_cast<std::size_t>(longest));
  switch (s.dim) {
    case 20: return all_backward<20>(s, examples, qkv, memory, dout, dqkv, scratch.data());
    case 40: return all_backward<40>(s, examples, qkv, memory, dout, dqkv, scratch.data());
    default: return all_backward<0>(s, examples, qkv, memory, dout, dqkv, scratch.data());
  }
}

} // namespace virga::models::train::fused
