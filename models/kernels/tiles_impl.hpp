// models/kernels/tiles_impl.hpp: products with a packed matrix, over the vectors of an instruction set
// (vectors_impl.hpp).
#pragma once

#include "models/kernels/vectors_impl.hpp"

namespace {

using namespace virga;
using namespace virga::models::kernels;

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
        store(t.out + static_cast<std::uint64_t>(r) * t.out_stride + (t.first + z) * Isa::lanes, sum[r][z]);
  }

  /// A tile asks for what is read a while later, beyond the end of its panel too, so that memory answers in time. With
  /// integers, where the sums of one step take longer, the tiles of many rows each ask for a part of the next panel.
  /// What one row reads is not read again soon: it passes by the second cache, whose room and pace it would only cost.
  template <int Rows, std::uint64_t Bytes>
  static void ask_for(const tile_task& t, const std::byte* p) {
    if constexpr (Rows == 1) {
#pragma GCC unroll 32
      for (std::uint64_t line = 0; line < Bytes; line += line_bytes)
        __builtin_prefetch(p + soon + line, 0, 0);
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
      store(t.out + z * Isa::lanes, sum[z]);
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
    tile_task t{nullptr, unit < block_inputs ? soon : s.panel_bytes(), 0, 0, 0, s.padded_inputs() / unit, x,
                x.stride * value_bytes, nullptr, out_stride};
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
};

} // namespace
