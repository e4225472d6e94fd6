// models/kernels/tiles_impl.hpp: the products, written once over the vectors of an instruction set. Each tiles_*.cpp
// includes it with flags and an `isa` of its own; everything here is in its unnamed namespace and calls no inline
// function of the standard library, so that no other file can be given code for a CPU it was not built for.
//
// An isa has: lanes (f32 of a vector), the vectors vf, vi and vb (f32, i32, i8) of that many, number_rows and block_rows (rows of a tile
// whose sums fit the registers), width (vectors of outputs of a tile), and
//   vf dot_bf16(vf sum, vi pairs, vi pair)  sum += low halves' product + high halves' product, as bf16
//   vi dot_bytes(vi sum, vi codes, vi x)    sum += the four products of unsigned codes and signed bytes
//   std::int32_t largest(vi), total(vi)     of all lanes
//   vf halves(const void*)                  the next `lanes` f16
//   vf bf16s(const std::uint16_t*)          the next `lanes` bf16
//   vf signed_bytes(const std::int8_t*)     the next `lanes` bytes
#pragma once

#include "models/kernels/kernels.hpp"

namespace {

using namespace virga;
using namespace virga::models::kernels;

using word32 = std::int32_t;

/// For an isa without an instruction for it.
template <class V>
word32 largest_lane(V v, int lanes) {
  auto most = v[0];
  for (int i = 1; i < lanes; ++i)
    most = v[i] > most ? v[i] : most;
  return most;
}

template <class V>
word32 total_of_lanes(V v, int lanes) {
  word32 sum = 0;
  for (int i = 0; i < lanes; ++i)
    sum += v[i];
  return sum;
}

/// What a tile reads and writes.
struct tile_task {
  const std::byte* panel = nullptr;
  std::uint64_t ahead = 0;    ///< how far behind what it reads lies what memory shall have ready,
  std::uint32_t ask_first = 0, ask_last = 0;  ///< and which cache lines of each step's bytes the tile asks for
  int first = 0;              ///< vector of the panel that the tile begins with
  std::uint32_t steps = 0;    ///< inputs, pairs or blocks
  prepared_rows x;            ///< from the tile's first row on
  std::uint64_t x_bytes = 0;  ///< between rows
  float* out = nullptr;
  std::uint32_t out_stride = 0;
};

template <class Isa>
struct tiles {
  using vf = typename Isa::vf;
  using vi = typename Isa::vi;
  static constexpr std::uint64_t line_bytes = 64, soon = 8192;
  static constexpr int per_panel = static_cast<int>(panel_outputs) / Isa::lanes;

  template <class V>
  static V load(const void* p) {
    V v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  }
  static word32 word(const void* p) {
    word32 x;
    __builtin_memcpy(&x, p, sizeof x);
    return x;
  }

  /// Where the z-th vector of a tile's outputs lies behind its panel.
  static std::uint64_t behind(const tile_task& t, int z, std::uint64_t vector_bytes) {
    return static_cast<std::uint64_t>(t.first + z) * vector_bytes;
  }

  template <int Rows, int Width>
  static void put(const tile_task& t, const vf (&sum)[Rows][Width]) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
      for (int z = 0; z < Width; ++z)
        __builtin_memcpy(t.out + static_cast<std::uint64_t>(r) * t.out_stride + (t.first + z) * Isa::lanes, &sum[r][z],
                         sizeof(vf));
  }

  /// A tile asks for what is read a while later, beyond the end of its panel too, so that memory answers in time. With
  /// integers, where the sums of one step take longer, the tiles of many rows each ask for a part of the next panel.
  template <int Rows, std::uint64_t Bytes>
  static void ask_for(const tile_task& t, const std::byte* p) {
    if constexpr (Rows == 1) {
#pragma GCC unroll 32
      for (std::uint64_t line = 0; line < Bytes; line += line_bytes)
        __builtin_prefetch(p + soon + line, 0, 2);
    } else {
      for (auto line = t.ask_first; line < t.ask_last; ++line)
        __builtin_prefetch(p + t.ahead + line * line_bytes, 0, 2);
    }
  }

  /// Lines that the tile `at` of so many asks for; none of none.
  template <dtype Type>
  static void ask_lines(tile_task& t, std::uint32_t at, std::uint32_t tiles_of_rows) {
    constexpr std::uint32_t lines = Type == dtype::int8 ? 17 : Type == dtype::int4 ? 9 : 2;
    if constexpr (Type == dtype::f32 || Type == dtype::bf16)
      tiles_of_rows = tiles_of_rows > 0 && at == 0 ? 1 : 0;
    t.ask_first = tiles_of_rows == 0 ? 0 : at * lines / tiles_of_rows;
    t.ask_last = tiles_of_rows == 0 ? 0 : (at + 1) * lines / tiles_of_rows;
  }

  /// f32 and bf16 differ in one instruction.
  template <dtype Type, int Rows, int Width>
  static void numbers(const tile_task& t) {
    vf sum[Rows][Width];
    const std::byte* w[Width];
    auto* x = static_cast<const std::byte*>(t.x.values);
#pragma GCC unroll 8
    for (int z = 0; z < Width; ++z) {
      w[z] = t.panel + behind(t, z, sizeof(vf));
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r)
        sum[r][z] = vf{};
    }
    for (std::uint64_t k = 0; k < t.steps; ++k) {
      ask_for<Rows, panel_outputs * 4>(t, t.panel + k * panel_outputs * 4);
      vi weights[Width];
#pragma GCC unroll 8
      for (int z = 0; z < Width; ++z)
        weights[z] = load<vi>(w[z] + k * panel_outputs * 4);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        const vi of_row = vi{} + word(x + static_cast<std::uint64_t>(r) * t.x_bytes + k * 4);
#pragma GCC unroll 8
        for (int z = 0; z < Width; ++z)
          if constexpr (Type == dtype::f32)
            sum[r][z] += (vf)weights[z] * (vf)of_row;
          else
            sum[r][z] = Isa::dot_bf16(sum[r][z], weights[z], of_row);
      }
    }
    put<Rows, Width>(t, sum);
  }

  template <dtype Type, int Rows, int Width>
  static void blocks(const tile_task& t) {
    constexpr bool eight = Type == dtype::int8;
    constexpr std::uint64_t scale_bytes = panel_outputs * 2, bytes = scale_bytes + panel_outputs * (eight ? 32 : 16);
    vf sum[Rows][Width];
    const std::byte *codes[Width], *scales[Width];
#pragma GCC unroll 8
    for (int z = 0; z < Width; ++z) {
      scales[z] = t.panel + behind(t, z, sizeof(vf) / 2);
      codes[z] = t.panel + behind(t, z, sizeof(vf)) + scale_bytes;
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r)
        sum[r][z] = vf{};
    }
    auto* x = static_cast<const std::byte*>(t.x.values);
    for (std::uint64_t b = 0; b < t.steps; ++b, x += block_inputs) {
      ask_for<Rows, bytes>(t, t.panel + b * bytes);
      vi part[Rows][Width];
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
        for (int z = 0; z < Width; ++z)
          part[r][z] = vi{} + t.x.zeros[static_cast<std::uint64_t>(r) * t.x.blocks + b];
#pragma GCC unroll 8
      for (std::uint64_t g = 0; g < (eight ? 8 : 4); ++g) {
        vi code[Width];
#pragma GCC unroll 8
        for (int z = 0; z < Width; ++z)
          code[z] = load<vi>(codes[z] + b * bytes + g * panel_outputs * 4);
#pragma GCC unroll 16
        for (int r = 0; r < Rows; ++r) {
          auto* of_row = x + static_cast<std::uint64_t>(r) * t.x_bytes + g * 4;
          const vi low = vi{} + word(of_row);
#pragma GCC unroll 8
          for (int z = 0; z < Width; ++z)
            if constexpr (eight)
              part[r][z] = Isa::dot_bytes(part[r][z], code[z], low);
            else {
              const vi high = vi{} + word(of_row + 16);
              part[r][z] = Isa::dot_bytes(part[r][z], code[z] & 0x0f0f0f0f, low);
              part[r][z] = Isa::dot_bytes(part[r][z], (code[z] >> 4) & 0x0f0f0f0f, high);
            }
        }
      }
#pragma GCC unroll 8
      for (int z = 0; z < Width; ++z) {
        const vf scale = Isa::halves(scales[z] + b * bytes);
#pragma GCC unroll 16
        for (int r = 0; r < Rows; ++r)
          sum[r][z] += __builtin_convertvector(part[r][z], vf)
                       * (scale * t.x.scales[static_cast<std::uint64_t>(r) * t.x.blocks + b]);
      }
    }
    put<Rows, Width>(t, sum);
  }

  /// One row and one panel: the memory's pace is all that counts, so its bytes are asked for in time, in order. Two sums
  /// for each vector, since one would wait for itself.
  template <dtype Type>
  static void one_row(const tile_task& t) {
    if constexpr (Type == dtype::f32 || Type == dtype::bf16)
      return numbers<Type, 1, per_panel>(t);
    constexpr bool eight = Type == dtype::int8;
    constexpr std::uint64_t scale_bytes = panel_outputs * 2, bytes = scale_bytes + panel_outputs * (eight ? 32 : 16);
    vf sum[per_panel];
#pragma GCC unroll 8
    for (int z = 0; z < per_panel; ++z)
      sum[z] = vf{};
    auto* x = static_cast<const std::byte*>(t.x.values);
    const std::byte* block = t.panel;
    for (std::uint64_t b = 0; b < t.steps; ++b, x += block_inputs, block += bytes) {
      ask_for<1, bytes>(t, block);
      vi part[per_panel][2];
#pragma GCC unroll 8
      for (int z = 0; z < per_panel; ++z) {
        part[z][0] = vi{} + t.x.zeros[b];
        part[z][1] = vi{};
      }
#pragma GCC unroll 8
      for (std::uint64_t g = 0; g < (eight ? 8 : 4); ++g) {
        const vi low = vi{} + word(x + g * 4);
#pragma GCC unroll 8
        for (int z = 0; z < per_panel; ++z) {
          const vi code = load<vi>(block + scale_bytes + g * panel_outputs * 4 + static_cast<std::uint64_t>(z) * sizeof(vi));
          if constexpr (eight)
            part[z][g % 2] = Isa::dot_bytes(part[z][g % 2], code, low);
          else {
            const vi high = vi{} + word(x + g * 4 + 16);
            part[z][0] = Isa::dot_bytes(part[z][0], code & 0x0f0f0f0f, low);
            part[z][1] = Isa::dot_bytes(part[z][1], (code >> 4) & 0x0f0f0f0f, high);
          }
        }
      }
#pragma GCC unroll 8
      for (int z = 0; z < per_panel; ++z)
        sum[z] += __builtin_convertvector(part[z][0] + part[z][1], vf)
                  * (Isa::halves(block + static_cast<std::uint64_t>(z) * sizeof(vf) / 2) * t.x.scales[b]);
    }
#pragma GCC unroll 8
    for (int z = 0; z < per_panel; ++z)
      __builtin_memcpy(t.out + z * Isa::lanes, &sum[z], sizeof(vf));
  }

  template <dtype Type, int Rows, int Width>
  static void tile(const tile_task& t) {
    if constexpr (Type == dtype::f32 || Type == dtype::bf16)
      numbers<Type, Rows, Width>(t);
    else
      blocks<Type, Rows, Width>(t);
  }

  /// `rows` rows, which are `Rows` at most, of the tile's outputs.
  template <dtype Type, int Rows>
  static void up_to(const tile_task& t, std::uint32_t rows) {
    if constexpr (Rows > 1)
      if (rows < Rows)
        return up_to<Type, Rows - 1>(t, rows);
    tile<Type, Rows, Isa::width>(t);
  }

  template <dtype Type>
  static void product(tile_task t, std::uint32_t rows) {
    constexpr int most = Type == dtype::f32 || Type == dtype::bf16 ? Isa::number_rows : Isa::block_rows;
    const auto x = t.x;
    auto* out = t.out;
    const auto tiles_of_rows = (rows + most - 1) / most, each = (rows + tiles_of_rows - 1) / tiles_of_rows;
    for (t.first = 0; t.first < per_panel; t.first += Isa::width)
      for (std::uint32_t r = 0; r < rows; r += each) {
        ask_lines<Type>(t, r / each, t.first == 0 ? tiles_of_rows : 0);
        t.x.values = static_cast<const std::byte*>(x.values) + r * t.x_bytes;
        t.x.scales = x.scales + std::uint64_t{r} * x.blocks;
        t.x.zeros = x.zeros + std::uint64_t{r} * x.blocks;
        t.out = out + std::uint64_t{r} * t.out_stride;
        up_to<Type, most>(t, rows - r < each ? rows - r : each);
      }
  }

  template <dtype Type>
  static void multiply_as(const packed_shape& s, const std::byte* packed, const prepared_rows& x, std::uint32_t rows,
                          std::uint32_t first, std::uint32_t last, float* out, std::uint32_t out_stride) {
    constexpr std::uint32_t unit = Type == dtype::f32 ? 1 : Type == dtype::bf16 ? 2 : block_inputs;
    constexpr std::uint64_t value_bytes = Type == dtype::f32 ? 4 : Type == dtype::bf16 ? 2 : 1;
    tile_task t{nullptr, unit < block_inputs ? soon : s.panel_bytes(), 0, 0, 0, s.padded_inputs() / unit, x, x.stride * value_bytes, nullptr, out_stride};
    for (auto p = first; p < last; ++p) {
      t.panel = packed + p * s.panel_bytes();
      t.out = out + std::uint64_t{p} * panel_outputs;
      if (rows == 1)
        one_row<Type>(t);
      else
        product<Type>(t, rows);
    }
  }

  static void multiply(const packed_shape& s, const std::byte* packed, const prepared_rows& x, std::uint32_t rows,
                       std::uint32_t first, std::uint32_t last, float* out, std::uint32_t out_stride) {
    switch (s.type) {
      case dtype::f32: return multiply_as<dtype::f32>(s, packed, x, rows, first, last, out, out_stride);
      case dtype::bf16: return multiply_as<dtype::bf16>(s, packed, x, rows, first, last, out, out_stride);
      case dtype::int8: return multiply_as<dtype::int8>(s, packed, x, rows, first, last, out, out_stride);
      case dtype::int4: return multiply_as<dtype::int4>(s, packed, x, rows, first, last, out, out_stride);
      default: __builtin_trap();  // no such shape is made
    }
  }

  // -- rows -----------------------------------------------------------------------------------------------------------

  static std::uint16_t bf16(float x) {
    std::uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    auto nan = (bits & 0x7fffffffu) > 0x7f800000u;
    return static_cast<std::uint16_t>((nan ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
  }

  /// One block of signed bytes. What is not finite makes the scale NaN.
  static void quantise(const float* x, std::int8_t* to, float& scale, word32& zero, word32 code_of_zero) {
    constexpr int vectors = static_cast<int>(block_inputs) / Isa::lanes;
    constexpr word32 infinity = 0x7f800000;
    vf v[vectors];
    vi sizes{};
#pragma GCC unroll 8
    for (int i = 0; i < vectors; ++i) {
      v[i] = load<vf>(x + i * Isa::lanes);
      const vi size = (vi)v[i] & 0x7fffffff;
      sizes = size > sizes ? size : sizes;
    }
    const word32 bits = Isa::largest(sizes);  // the order of sizes is that of their bits, and NaN is the largest
    float most;
    __builtin_memcpy(&most, &bits, sizeof most);
    const bool strange = bits >= infinity;
    scale = strange ? __builtin_nanf("") : most / 127;
    const float inverse = most > 0 && !strange ? 127 / most : 0;
    vi codes{};
#pragma GCC unroll 8
    for (int i = 0; i < vectors; ++i) {
      constexpr float shift = 0x1.8p23f;  // adding it leaves the nearest whole number in the low bits
      const vi code = strange ? vi{} : (vi)(v[i] * inverse + shift) - 0x4b400000;
      const auto narrow = __builtin_convertvector(code, typename Isa::vb);
      __builtin_memcpy(to + i * Isa::lanes, &narrow, sizeof narrow);
      codes += code;
    }
    zero = -code_of_zero * Isa::total(codes);
  }

  static void prepare(const packed_shape& s, const float* x, std::uint32_t stride, std::uint32_t first,
                      std::uint32_t last, const prepared_rows& to) {
    const auto inputs = s.inputs, padded = s.padded_inputs();
    if (s.type == dtype::f32)
      return;
    for (std::uint64_t r = first; r < last; ++r) {
      const float* from = x + r * stride;
      if (s.type == dtype::bf16) {
        auto* out = const_cast<std::uint16_t*>(static_cast<const std::uint16_t*>(to.values)) + r * to.stride;
        for (std::uint32_t i = 0; i < inputs; ++i)
          out[i] = bf16(from[i]);
        for (auto i = inputs; i < padded; ++i)
          out[i] = 0;
        continue;
      }
      auto* out = const_cast<std::int8_t*>(static_cast<const std::int8_t*>(to.values)) + r * to.stride;
      for (std::uint32_t b = 0; b < to.blocks; ++b) {
        const float* block = from + b * block_inputs;
        float with_zeros[block_inputs] = {};
        if (const auto left = inputs - b * block_inputs; left < block_inputs) {
          for (std::uint32_t i = 0; i < left; ++i)
            with_zeros[i] = block[i];
          block = with_zeros;
        }
        quantise(block, out + b * block_inputs, const_cast<float*>(to.scales)[r * to.blocks + b],
                 const_cast<word32*>(to.zeros)[r * to.blocks + b], s.type == dtype::int8 ? 128 : 8);
      }
    }
  }
};

} // namespace
