// models/kernels/attention_impl.hpp: attention of queries over pages of keys and values, over the vectors of an
// instruction set (vectors_impl.hpp). Sums go by position, half a page at a time, in an order that
// the row alone decides: many queries take them one after the other, one query takes several at once.
#pragma once

#include "models/kernels/prepare_impl.hpp"
#include "models/kernels/rows_impl.hpp"

namespace {

template <class Isa>
struct attention {
  using vf = typename Isa::vf;
  using vi = typename Isa::vi;
  using rows = row_work<Isa>;
  static constexpr std::uint32_t lanes = Isa::lanes, half_page = page_positions / 2;

  // What a page holds is multiplied with factors (a query's numbers, probabilities), a word of 32 bits at a time: one
  // number in f32, or two in bf16.

  template <class Number>
  static constexpr std::uint32_t per_word = sizeof(Number) == 2 ? 2 : 1;
  /// Signed bytes have a scale for each position.
  template <class Number>
  static constexpr bool scaled = sizeof(Number) == 1;

  static vi words(const float* p) { return load<vi>(p); }
  static vi words(const std::uint16_t* p) { return load<vi>(p); }
  static vi words(const std::int8_t* p) { return (vi)Isa::signed_bytes(p); }
  template <class Number>
  static vf add(vf sum, vi a, vi factor) {
    if constexpr (per_word<Number> == 2)
      return Isa::dot_bf16(sum, a, factor);
    else
      return sum + (vf)a * (vf)factor;
  }

  static float number(float x) { return x; }
  static float number(std::int8_t x) { return x; }
  static float number(std::uint16_t x) {
    const std::uint32_t bits = std::uint32_t{x} << 16;
    float out;
    __builtin_memcpy(&out, &bits, sizeof out);
    return out;
  }

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

  /// Rows of factors as words, one behind the other.
  struct factors {
    const void* begin = nullptr;
    std::uint64_t stride = 0;

    const std::byte* place(int row, std::uint64_t at) const {
      return static_cast<const std::byte*>(begin) + (static_cast<std::uint64_t>(row) * stride + at) * 4;
    }
    vi operator()(int row, std::uint64_t at) const { return vi{} + word(place(row, at)); }
  };

  /// Scores of Rows queries with one page's keys. @param next what is read behind them, as many numbers
  template <class Number, int Rows>
  static void score_page(const attention_task& t, const factors& q, std::uint64_t page, const Number* next, float* to,
                         std::uint64_t stride) {
    constexpr int vectors = Rows > 2 ? 2 : 4;
    constexpr auto per = per_word<Number>;
    const auto* keys = keys_of<Number>(t, page);
    for (std::uint32_t first = 0; first < page_positions; first += vectors * lanes) {
      vf sum[Rows][vectors];
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
        for (int z = 0; z < vectors; ++z)
          sum[r][z] = vf{};
      for (std::uint32_t d = 0; d < t.dim / per; ++d) {
        vi a[vectors];
#pragma GCC unroll 8
        for (std::uint32_t z = 0; z < vectors; ++z) {
          const auto at = (d * page_positions + first + z * lanes) * per;
          __builtin_prefetch(next + at);
          a[z] = words(keys + at);
        }
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) {
          const vi x = q(r, d);
#pragma GCC unroll 8
          for (int z = 0; z < vectors; ++z)
            sum[r][z] = add<Number>(sum[r][z], a[z], x);
        }
      }
#pragma GCC unroll 8
      for (std::uint32_t z = 0; z < vectors; ++z) {
        vf scale = vf{} + t.scale;
        if constexpr (scaled<Number>)
          scale *= load<vf>(in<float>(t.pages[page], t.at.key_scales) + first + z * lanes);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r)
          store(to + static_cast<std::uint64_t>(r) * stride + first + z * lanes, sum[r][z] * scale);
      }
    }
  }

  /// Scores of the positions [begin, end) into probabilities up to a factor; those beside them in the pages become 0.
  /// @returns the factor
  static float softmax(float* scores, std::uint64_t begin, std::uint64_t end, std::uint64_t all) {
    const auto most = largest(scores, begin, end);
    const auto first = begin / lanes * lanes, last = (end + lanes - 1) / lanes * lanes;
    vf sum[2]{};
    for (auto i = first; i < last; i += lanes) {
      vf v = rows::exp_below_88(load<vf>(scores + i) - most);
      if (i < begin || i + lanes > end)
        v = seen_only(v, i, begin, end);
      store(scores + i, v);
      sum[i / lanes % 2] += v;
    }
    for (std::uint64_t i = 0; i < first; ++i)
      scores[i] = 0;
    for (auto i = last; i < all; ++i)
      scores[i] = 0;
    return 1 / rows::sum_of(sum[0] + sum[1]);
  }

  /// Of [begin, end), which is not empty.
  static float largest(const float* x, std::uint64_t begin, std::uint64_t end) {
    constexpr std::uint64_t chains = 4;
    vf most[chains];
    for (auto& m : most)
      m = vf{} + x[begin];
    auto i = begin;
    for (; i + chains * lanes <= end; i += chains * lanes)
#pragma GCC unroll 4
      for (std::uint64_t c = 0; c < chains; ++c)
        most[c] = Isa::larger(load<vf>(x + i + c * lanes), most[c]);
    for (; i + lanes <= end; i += lanes)
      most[0] = Isa::larger(load<vf>(x + i), most[0]);
    const vf tops = Isa::larger(Isa::larger(most[0], most[1]), Isa::larger(most[2], most[3]));
    float out = tops[0];
    for (std::uint32_t l = 1; l < lanes; ++l)
      out = tops[l] > out ? tops[l] : out;
    for (; i < end; ++i)
      out = x[i] > out ? x[i] : out;
    return out;
  }

  static vf seen_only(vf v, std::uint64_t at, std::uint64_t begin, std::uint64_t end) {
    vi seen;
    for (std::uint32_t l = 0; l < lanes; ++l)
      seen[l] = at + l >= begin && at + l < end ? -1 : 0;
    return (vf)((vi)v & seen);
  }

  /// What mix() sums over: a page of one head.
  template <class Number>
  struct page_part {
    const Number *values, *next;  ///< next: what is read behind it
    factors p;                    ///< from the page's first position on
    std::uint32_t dim;
    const std::uint32_t* offsets;  ///< of the vectors
  };

  /// Adds to `sum` the words `at` of Halves halves of the page. @param mask what of the values counts
  template <class Number, int Rows, int Vectors, int Halves>
  static void add_words(const page_part<Number>& m, std::uint32_t at, word32 mask, vf (&sum)[Halves][Rows][Vectors]) {
    constexpr auto per = per_word<Number>;
#pragma GCC unroll 2
    for (std::uint32_t h = 0; h < Halves; ++h) {
      const auto word = at + h * half_page / per;
      vi v[Vectors];
#pragma GCC unroll 8
      for (int z = 0; z < Vectors; ++z) {
        const auto offset = (word * m.dim + m.offsets[z]) * per;
        __builtin_prefetch(m.next + offset);
        v[z] = words(m.values + offset) & mask;
      }
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        const vi x = m.p(r, word);
#pragma GCC unroll 8
        for (int z = 0; z < Vectors; ++z)
          sum[h][r][z] = add<Number>(sum[h][r][z], v[z], x);
      }
    }
  }

  /// Adds the values of the positions [from, to), which lie in a half of the page, each times its factor; with two
  /// halves the same positions of the second too.
  template <class Number, int Rows, int Vectors, int Halves>
  static void add_part(const page_part<Number>& m, std::uint32_t from, std::uint32_t to, vf (&total)[Rows][Vectors]) {
    constexpr auto per = per_word<Number>;
    constexpr word32 first = 0xffff, second = ~first;
    vf sum[Halves][Rows][Vectors];
#pragma GCC unroll 2
    for (int h = 0; h < Halves; ++h)
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
        for (int z = 0; z < Vectors; ++z)
          sum[h][r][z] = vf{};
    if (from % per != 0)  // a word of which one position is seen
      add_words<Number, Rows, Vectors, Halves>(m, from / per, second, sum);
    for (auto at = (from + per - 1) / per; at < to / per; ++at)
      add_words<Number, Rows, Vectors, Halves>(m, at, -1, sum);
    if (to % per != 0)
      add_words<Number, Rows, Vectors, Halves>(m, to / per, first, sum);
#pragma GCC unroll 2
    for (int h = 0; h < Halves; ++h)
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
        for (int z = 0; z < Vectors; ++z)
          total[r][z] += sum[h][r][z];
  }

  /// The part of out's rows that lies at the offsets: sums over all positions. @param p from the first page on
  template <class Number, int Rows, int Vectors>
  static void mix(const attention_task& t, factors p, const float* shares, const std::uint32_t* offsets, float* out) {
    vf total[Rows][Vectors];
    for (int r = 0; r < Rows; ++r)
      for (int z = 0; z < Vectors; ++z)
        total[r][z] = vf{};
    for (auto page = t.begin / page_positions; page * page_positions < t.end; ++page) {
      const auto start = page * page_positions;
      const auto from = static_cast<std::uint32_t>(t.begin > start ? t.begin - start : 0);
      const auto to = static_cast<std::uint32_t>(t.end < start + page_positions ? t.end - start : page_positions);
      const auto* values = values_of<Number>(t, page);
      const page_part<Number> m{values, start + page_positions < t.end ? values_of<Number>(t, page + 1) : values, p,
                                t.dim, offsets};
      if (Rows <= 2 && from == 0 && to == page_positions) {
        add_part<Number, Rows, Vectors, Rows <= 2 ? 2 : 1>(m, 0, half_page, total);
      } else {
        if (from < half_page)
          add_part<Number, Rows, Vectors, 1>(m, from, to < half_page ? to : half_page, total);
        if (to > half_page)
          add_part<Number, Rows, Vectors, 1>(m, from > half_page ? from : half_page, to, total);
      }
      p.begin = p.place(0, page_positions / per_word<Number>);
    }
    for (int r = 0; r < Rows; ++r)
      for (int z = 0; z < Vectors; ++z)
        store(out + static_cast<std::uint32_t>(r) * t.dim + offsets[z], total[r][z] * shares[r]);
  }

  /// Vectors [first, all) of the rows, `Most` at a time. The last one may have numbers of the one before, again.
  template <class Number, int Rows, int Most>
  static void mix_from(const attention_task& t, const factors& p, const float* shares, std::uint32_t first,
                       float* out) {
    const auto all = (t.dim + lanes - 1) / lanes;
    for (; first + Most <= all; first += Most) {
      std::uint32_t offsets[Most];
      for (std::uint32_t z = 0; z < Most; ++z)
        offsets[z] = first + z + 1 < all ? (first + z) * lanes : t.dim - lanes;
      mix<Number, Rows, Most>(t, p, shares, offsets, out);
    }
    if constexpr (Most > 1)
      if (first < all)
        mix_from<Number, Rows, Most - 1>(t, p, shares, first, out);
  }

  /// Heads of fewer numbers than a vector has.
  template <class Number, int Rows>
  static void mix_narrow(const attention_task& t, const factors& p, const float* shares, float* out) {
    constexpr auto per = per_word<Number>;
    for (int r = 0; r < Rows; ++r)
      for (std::uint32_t d = 0; d < t.dim; ++d) {
        float sum = 0;
        for (auto at = t.begin; at < t.end; ++at) {
          const auto here = static_cast<std::uint32_t>(at % page_positions);
          const auto position = at - t.begin / page_positions * page_positions;
          const auto* factor = p.place(r, position / per) + position % per * sizeof(Number);
          const auto* value =
              values_of<Number>(t, at / page_positions) + (here / per * t.dim + d) * per + here % per;
          sum += factor_at<Number>(factor) * number(*value);
        }
        out[static_cast<std::uint32_t>(r) * t.dim + d] = sum * shares[r];
      }
  }
  template <class Number>
  static float factor_at(const std::byte* p) {
    if constexpr (per_word<Number> == 2)
      return number(load<std::uint16_t>(p));
    else
      return load<float>(p);
  }

  template <class Number, int Rows>
  static void attend_rows(const attention_task& t, const float* q, float* out) {
    constexpr auto per = per_word<Number>;
    const auto first = t.begin / page_positions, last = (t.end + page_positions - 1) / page_positions;
    const auto stride = (last - first) * page_positions;
    auto* scores = t.room;
    factors query{q, t.dim};
    if constexpr (per == 2) {
      auto* rounded = scores + Rows * stride;
      preparing<Isa>::round_bf16(q, Rows * t.dim, rounded);
      query = {rounded, t.dim / 2};
    }
    for (auto p = first; p < last; ++p)
      score_page<Number, Rows>(t, query, p, p + 1 < last ? keys_of<Number>(t, p + 1) : values_of<Number>(t, first),
                               scores + (p - first) * page_positions, stride);
    float shares[Rows];
    const auto begin = t.begin - first * page_positions, end = t.end - first * page_positions;
    for (int r = 0; r < Rows; ++r) {
      auto* row = scores + static_cast<std::uint64_t>(r) * stride;
      shares[r] = softmax(row, begin, end, stride);
      if constexpr (scaled<Number>)
        weigh(t, row);
      if constexpr (per == 2)
        preparing<Isa>::round_bf16(row, static_cast<std::uint32_t>(stride), row);
    }
    const factors p{scores, stride};
    if (t.dim < lanes)
      mix_narrow<Number, Rows>(t, p, shares, out);
    else
      mix_from<Number, Rows, (Rows > 1 ? 2 : 4)>(t, p, shares, 0, out);
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
    for (std::uint32_t r = 0; r < t.queries;) {
      auto* q = t.q + std::uint64_t{r} * t.dim;
      auto* out = t.out + std::uint64_t{r} * t.dim;
      const auto left = t.queries - r;
      if (left >= queries_at_once && left != 8) {
        attend_rows<Number, queries_at_once>(t, q, out);
        r += queries_at_once;
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
};

} // namespace
