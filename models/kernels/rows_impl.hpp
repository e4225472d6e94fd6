// models/kernels/rows_impl.hpp: what a layer does between its products, over the vectors of an instruction set
// (tiles_impl.hpp says how it is included). Sums go by position or by lane, in an order that the row alone decides.
#pragma once

#include "models/kernels/tiles_impl.hpp"

namespace {

using namespace virga;
using namespace virga::models::kernels;

template <class Isa>
struct row_work {
  using vf = typename Isa::vf;
  using vi = typename Isa::vi;
  static constexpr std::uint32_t lanes = Isa::lanes;

  static vf load(const float* p) {
    vf v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  }
  static void store(float* p, vf v) { __builtin_memcpy(p, &v, sizeof v); }
  static float sum_of(vf v) {
    float sum = 0;
    for (std::uint32_t i = 0; i < lanes; ++i)
      sum += v[i];
    return sum;
  }

  /// e^x within 2 units in the last place; below -87 as at -87. NaN stays.
  static vf exp(vf x) {
    x = x < -87.f ? vf{} - 87.f : x;
    x = x > 88.f ? vf{} + 88.f : x;
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
      squares += load(x + i) * load(x + i);
    float rest = sum_of(squares);
    for (auto k = i; k < n; ++k)
      rest += x[k] * x[k];
    const float scale = 1 / __builtin_sqrtf(rest / static_cast<float>(n) + eps);
    for (i = 0; i + lanes <= n; i += lanes)
      store(out + i, load(x + i) * scale * load(weight + i));
    for (; i < n; ++i)
      out[i] = x[i] * scale * weight[i];
  }

  static void rotate(float* head, const float* cos, const float* sin, std::uint32_t half) {
    for (std::uint32_t i = 0; i < half; ++i) {
      const float a = head[i], b = head[half + i];
      head[i] = a * cos[i] - b * sin[i];
      head[half + i] = b * cos[i] + a * sin[i];
    }
  }

  static void swiglu(const float* gate, const float* up, std::uint32_t n, float* out) {
    std::uint32_t i = 0;
    for (; i + lanes <= n; i += lanes) {
      const vf g = load(gate + i);
      store(out + i, g / (exp(-g) + 1.f) * load(up + i));
    }
    for (; i < n; ++i) {  // as a vector does it
      const vf g = vf{} + gate[i];
      out[i] = (g / (exp(-g) + 1.f))[0] * up[i];
    }
  }

  static row_summary summarise(const float* x, std::uint32_t n) {
    row_summary out{x[0], 0, 0};
    if (n >= lanes) {
      vf most = load(x);
      vi at{};
      for (std::uint32_t i = lanes; i + lanes <= n; i += lanes) {
        const vf v = load(x + i);
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
        part += exp(load(x + i) - most);
      for (std::uint32_t l = 0; l < lanes; ++l)
        sum += static_cast<double>(part[l]);
    }
    for (; i < n; ++i)
      sum += static_cast<double>(exp(vf{} + (x[i] - most))[0]);
    return sum;
  }

  // -- attention ------------------------------------------------------------------------------------------------------

  static float number(const float* p) { return *p; }
  static float number(const std::uint16_t* p) {
    const std::uint32_t bits = std::uint32_t{*p} << 16;
    float x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
  }
  static float number(const std::int8_t* p) { return *p; }
  static vf numbers(const float* p) { return load(p); }
  static vf numbers(const std::uint16_t* p) { return Isa::bf16s(p); }
  static vf numbers(const std::int8_t* p) { return Isa::signed_bytes(p); }
  static void put(float* p, float x) { *p = x; }
  static void put(std::uint16_t* p, float x) { *p = tiles<Isa>::bf16(x); }

  /// Signed bytes have a scale for each position.
  template <class Number>
  static constexpr bool scaled = sizeof(Number) == 1;

  template <class Number>
  static const Number* in(const void* page, std::uint64_t offset) {
    return reinterpret_cast<const Number*>(static_cast<const std::byte*>(page) + offset);
  }
  template <class Number>
  static const Number* keys_of(const attention_task& t, std::uint64_t page) {
    return in<Number>(t.pages[page], t.at.keys);
  }
  template <class Number>
  static const Number* values_of(const attention_task& t, std::uint64_t page) {
    return in<Number>(t.pages[page], t.at.values);
  }

  /// Scores of Rows queries with one page's keys. @param next what is read behind them, as many numbers
  template <class Number, int Rows>
  static void score_page(const attention_task& t, const float* q, std::uint64_t page, const Number* next, float* to) {
    const auto dim = t.dim;
    const auto* keys = keys_of<Number>(t, page);
    for (std::uint32_t first = 0; first < page_positions; first += 2 * lanes) {
      vf sum[Rows][2];
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r)
        sum[r][0] = sum[r][1] = vf{};
      for (std::uint32_t d = 0; d < dim; ++d) {
        const auto at = d * page_positions + first;
        __builtin_prefetch(next + at);
        __builtin_prefetch(next + at + lanes);
        const vf a = numbers(keys + at), b = numbers(keys + at + lanes);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
          const vf x = vf{} + q[static_cast<std::uint32_t>(r) * dim + d];
          sum[r][0] += a * x;
          sum[r][1] += b * x;
        }
      }
      vf a = vf{} + t.scale, b = a;
      if constexpr (scaled<Number>) {
        a *= load(in<float>(t.pages[page], t.at.key_scales) + first);
        b *= load(in<float>(t.pages[page], t.at.key_scales) + first + lanes);
      }
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        store(to + static_cast<std::uint64_t>(r) * t.scores_stride + first, sum[r][0] * a);
        store(to + static_cast<std::uint64_t>(r) * t.scores_stride + first + lanes, sum[r][1] * b);
      }
    }
  }

  /// Scores of the positions [begin, end) into probabilities up to a factor; those beside them in the pages become 0.
  /// @returns the factor
  static float softmax(float* scores, std::uint64_t begin, std::uint64_t end, std::uint64_t all) {
    float most = scores[begin];
    vf tops = vf{} + most;
    auto seen = begin;
    for (; seen + lanes <= end; seen += lanes) {
      const vf v = load(scores + seen);
      tops = v > tops ? v : tops;
    }
    for (std::uint32_t l = 0; l < lanes; ++l)
      most = tops[l] > most ? tops[l] : most;
    for (; seen < end; ++seen)
      most = scores[seen] > most ? scores[seen] : most;
    for (std::uint64_t i = 0; i < begin; ++i)
      scores[i] = most;
    for (auto i = end; i < all; ++i)
      scores[i] = most;
    for (std::uint64_t i = begin / lanes * lanes; i < end; i += lanes)
      store(scores + i, exp(load(scores + i) - most));
    for (auto i = begin / lanes * lanes; i < begin; ++i)
      scores[i] = 0;
    for (auto i = end; i < all; ++i)
      scores[i] = 0;
    vf sum{};
    for (std::uint64_t i = begin / lanes * lanes; i < end; i += lanes)
      sum += load(scores + i);
    return 1 / sum_of(sum);
  }

  /// out[r][offset .. offset + Vectors * lanes) of Rows rows: sums over all positions.
  template <class Number, int Rows, int Vectors>
  static void mix(const attention_task& t, const float* scores, const float* factors, std::uint32_t offset,
                  float* out) {
    vf sum[Rows][Vectors];
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
      for (int z = 0; z < Vectors; ++z)
        sum[r][z] = vf{};
    const float* score = scores + t.begin % page_positions;
    for (auto p = t.begin; p < t.end;) {
      const auto page = p / page_positions;
      const auto end = (page + 1) * page_positions < t.end ? (page + 1) * page_positions : t.end;
      auto* values = values_of<Number>(t, page) + p % page_positions * t.dim + offset;
      auto* next = values_of<Number>(t, end < t.end ? page + 1 : page) + p % page_positions * t.dim + offset;
      for (; p < end; ++p, ++score, values += t.dim, next += t.dim) {
        __builtin_prefetch(next);
        vf v[Vectors];
#pragma GCC unroll 8
        for (int z = 0; z < Vectors; ++z)
          v[z] = numbers(values + static_cast<std::uint32_t>(z) * lanes);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
          for (int z = 0; z < Vectors; ++z)
            sum[r][z] += v[z] * score[static_cast<std::uint64_t>(r) * t.scores_stride];
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
      for (int z = 0; z < Vectors; ++z)
        store(out + static_cast<std::uint32_t>(r) * t.dim + offset + static_cast<std::uint32_t>(z) * lanes,
              sum[r][z] * factors[r]);
  }

  template <class Number, int Rows>
  static void mix_all(const attention_task& t, const float* scores, const float* factors, float* out) {
    std::uint32_t at = 0;
    for (; at + 2 * lanes <= t.dim; at += 2 * lanes)
      mix<Number, Rows, 2>(t, scores, factors, at, out);
    for (; at + lanes <= t.dim; at += lanes)
      mix<Number, Rows, 1>(t, scores, factors, at, out);
    if (at == t.dim)
      return;
    if (t.dim >= lanes)  // the last ones again, with those before them
      return mix<Number, Rows, 1>(t, scores, factors, t.dim - lanes, out);
    for (int r = 0; r < Rows; ++r)
      for (std::uint32_t d = 0; d < t.dim; ++d) {
        float sum = 0;
        for (auto p = t.begin; p < t.end; ++p)
          sum +=
              scores[static_cast<std::uint64_t>(r) * t.scores_stride + (p - t.begin / page_positions * page_positions)]
              * number(values_of<Number>(t, p / page_positions) + p % page_positions * t.dim + d);
        out[static_cast<std::uint32_t>(r) * t.dim + d] = sum * factors[r];
      }
  }

  template <class Number, int Rows>
  static void attend_rows(const attention_task& t, const float* q, float* out) {
    const auto first = t.begin / page_positions, last = (t.end + page_positions - 1) / page_positions;
    for (auto p = first; p < last; ++p)
      score_page<Number, Rows>(t, q, p, p + 1 < last ? keys_of<Number>(t, p + 1) : values_of<Number>(t, first),
                               t.scores + (p - first) * page_positions);
    float factors[Rows];
    for (int r = 0; r < Rows; ++r)
      factors[r] = softmax(t.scores + static_cast<std::uint64_t>(r) * t.scores_stride, t.begin - first * page_positions,
                           t.end - first * page_positions, (last - first) * page_positions);
    if constexpr (scaled<Number>)
      for (int r = 0; r < Rows; ++r)
        weigh(t, t.scores + static_cast<std::uint64_t>(r) * t.scores_stride);
    mix_all<Number, Rows>(t, t.scores, factors, out);
  }

  /// Takes the scales of values into the probabilities.
  static void weigh(const attention_task& t, float* scores) {
    const auto first = t.begin / page_positions * page_positions;
    for (auto p = t.begin; p < t.end;) {
      const auto* scales = in<float>(t.pages[p / page_positions], t.at.value_scales);
      const auto page = p / page_positions * page_positions;
      for (const auto end = page + page_positions < t.end ? page + page_positions : t.end; p < end; ++p)
        scores[p - first] *= scales[p - page];
    }
  }

  template <class Number>
  static void attend_in(const attention_task& t) {
    constexpr std::uint32_t most = 7;
    for (std::uint32_t r = 0; r < t.queries;) {
      auto* q = t.q + std::uint64_t{r} * t.dim;
      auto* out = t.out + std::uint64_t{r} * t.dim;
      auto left = t.queries - r;
      if (left >= most) {
        attend_rows<Number, 7>(t, q, out);
        r += 7;
      } else if (left >= 4) {
        attend_rows<Number, 4>(t, q, out);
        r += 4;
      } else if (left >= 2) {
        attend_rows<Number, 2>(t, q, out);
        r += 2;
      } else {
        attend_rows<Number, 1>(t, q, out);
        r += 1;
      }
    }
  }

  static void attend(const attention_task& t) {
    t.type == dtype::i8_rows ? attend_in<std::int8_t>(t)
    : t.type == dtype::bf16  ? attend_in<std::uint16_t>(t)
                             : attend_in<float>(t);
  }

  template <class Number>
  static Number* into(void* page, std::uint64_t offset) {
    return reinterpret_cast<Number*>(static_cast<std::byte*>(page) + offset);
  }

  template <class Number>
  static void keep_in(const float* k, const float* v, std::uint32_t dim, std::uint32_t position, void* page,
                      const head_place& at) {
    auto *keys = into<Number>(page, at.keys) + position, *values = into<Number>(page, at.values) + position * dim;
    for (std::uint32_t d = 0; d < dim; ++d) {
      put(keys + d * page_positions, k[d]);
      put(values + d, v[d]);
    }
  }

  /// To the nearest step. @returns the scale
  static float keep_bytes(const float* x, std::uint32_t dim, std::int8_t* to, std::uint32_t stride) {
    constexpr float shift = 0x1.8p23f;
    float most = 0, wrong = 0;
    for (std::uint32_t d = 0; d < dim; ++d) {
      const float size = x[d] < 0 ? -x[d] : x[d];
      most = size > most ? size : most;
      wrong += x[d] * 0.f;  // NaN from NaN and infinity
    }
    const float steps = most > 0x1p-100f ? 127 / most : 0;
    for (std::uint32_t d = 0; d < dim; ++d) {
      const float shifted = x[d] * steps + shift;
      std::uint32_t bits;
      __builtin_memcpy(&bits, &shifted, sizeof bits);
      to[std::uint64_t{d} * stride] = static_cast<std::int8_t>(bits - 0x4b400000u);
    }
    return most / 127 + wrong;
  }

  static void keep(const float* k, const float* v, std::uint32_t dim, dtype type, std::uint32_t position, void* page,
                   const head_place& at) {
    if (type == dtype::bf16)
      return keep_in<std::uint16_t>(k, v, dim, position, page, at);
    if (type != dtype::i8_rows)
      return keep_in<float>(k, v, dim, position, page, at);
    into<float>(page, at.key_scales)[position] =
        keep_bytes(k, dim, into<std::int8_t>(page, at.keys) + position, page_positions);
    into<float>(page, at.value_scales)[position] =
        keep_bytes(v, dim, into<std::int8_t>(page, at.values) + position * dim, 1);
  }
};

/// While compiling: code that runs at the start of every process must not be for one CPU.
template <class Isa>
constexpr kernel_set kernels_of(const char* name, bool (*runs_here)()) {
  return {name, runs_here, tiles<Isa>::prepare, tiles<Isa>::multiply, row_work<Isa>::rms_norm, row_work<Isa>::rotate,
          row_work<Isa>::swiglu, row_work<Isa>::keep, row_work<Isa>::attend, row_work<Isa>::summarise};
}

} // namespace
