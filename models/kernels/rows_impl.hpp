// models/kernels/rows_impl.hpp: what a layer does between its products, over the vectors of an instruction set
// (vectors_impl.hpp). Sums go by lane, in an order that the row alone decides.
#pragma once

#include "models/kernels/vectors_impl.hpp"

namespace {

template <class Isa>
struct row_work {
  using vf = typename Isa::vf;
  using vi = typename Isa::vi;
  static constexpr std::uint32_t lanes = Isa::lanes;

  static float sum_of(vf v) {
    float sum = 0;
    for (std::uint32_t i = 0; i < lanes; ++i)
      sum += v[i];
    return sum;
  }

  /// e^x within 2 units in the last place; below -87 as at -87. NaN stays.
  static vf exp(vf x) { return exp_below_88(x > 88.f ? vf{} + 88.f : x); }
  static vf exp_below_88(vf x) {
    x = Isa::larger(vf{} - 87.f, x);
    constexpr float shift = 0x1.8p23f;
    const vf shifted = x * 1.44269504f + shift;
    const vf n = shifted - shift;
    const vf f = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    vf p = f * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * f + 8.3334519073e-3f;
    p = p * f + 4.1665795894e-2f;
    p = p * f + 1.6666665459e-1f;
    p = p * f + 5.0000001201e-1f;
    p = p * f * f + f + 1.f;
    return p * (vf)(((vi)shifted - 0x4b400000 + 127) << 23);
  }

  static void rms_norm(const float* x, const float* weight, float eps, std::uint32_t n, float* out) {
    vf squares{};
    std::uint32_t i = 0;
    for (; i + lanes <= n; i += lanes)
      squares += load<vf>(x + i) * load<vf>(x + i);
    float rest = sum_of(squares);
    for (auto k = i; k < n; ++k)
      rest += x[k] * x[k];
    const float scale = 1 / __builtin_sqrtf(rest / static_cast<float>(n) + eps);
    for (i = 0; i + lanes <= n; i += lanes)
      store(out + i, load<vf>(x + i) * scale * load<vf>(weight + i));
    for (; i < n; ++i)
      out[i] = x[i] * scale * weight[i];
  }

  static void rotate(float* head, const float* cos, const float* sin, std::uint32_t half) {
    std::uint32_t i = 0;
    for (; i + lanes <= half; i += lanes) {
      const vf a = load<vf>(head + i), b = load<vf>(head + half + i);
      store(head + i, a * load<vf>(cos + i) - b * load<vf>(sin + i));
      store(head + half + i, b * load<vf>(cos + i) + a * load<vf>(sin + i));
    }
    for (; i < half; ++i) {
      const float a = head[i], b = head[half + i];
      head[i] = a * cos[i] - b * sin[i];
      head[half + i] = b * cos[i] + a * sin[i];
    }
  }

  static void swiglu(const float* gate, const float* up, std::uint32_t n, float* out) {
    std::uint32_t i = 0;
    for (; i + lanes <= n; i += lanes) {
      const vf g = load<vf>(gate + i);
      store(out + i, g / (exp(-g) + 1.f) * load<vf>(up + i));
    }
    for (; i < n; ++i) {  // as a vector does it
      const vf g = vf{} + gate[i];
      out[i] = (g / (exp(-g) + 1.f))[0] * up[i];
    }
  }

  static row_summary summarise(const float* x, std::uint32_t n) {
    row_summary out{x[0], 0, 0};
    if (n >= lanes) {
      vf most = load<vf>(x);
      vi at{};
      for (std::uint32_t i = lanes; i + lanes <= n; i += lanes) {
        const vf v = load<vf>(x + i);
        at = v > most ? vi{} + static_cast<std::int32_t>(i) : at;
        most = v > most ? v : most;
      }
      out = {most[0], static_cast<std::uint32_t>(at[0]), 0};
      for (std::uint32_t l = 1; l < lanes; ++l) {
        const auto i = static_cast<std::uint32_t>(at[l]) + l;
        if (most[l] > out.most || (most[l] == out.most && i < out.at))
          out = {most[l], i, 0};
      }
    }
    for (auto i = n >= lanes ? n / lanes * lanes : 1; i < n; ++i)
      if (x[i] > out.most)
        out = {x[i], i, 0};
    out.exponentials = sum_of_exponentials(x, n, out.most);
    return out;
  }

  /// In pieces whose f32 sums lose little.
  static double sum_of_exponentials(const float* x, std::uint32_t n, float most) {
    constexpr std::uint32_t piece = 64 * lanes;
    double sum = 0;
    std::uint32_t i = 0;
    while (i + lanes <= n) {
      vf part{};
      for (auto end = i + piece < n ? i + piece : n; i + lanes <= end; i += lanes)
        part += exp_below_88(load<vf>(x + i) - most);
      for (std::uint32_t l = 0; l < lanes; ++l)
        sum += static_cast<double>(part[l]);
    }
    for (; i < n; ++i)
      sum += static_cast<double>(exp(vf{} + (x[i] - most))[0]);
    return sum;
  }
};

} // namespace
