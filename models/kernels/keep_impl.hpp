// models/kernels/keep_impl.hpp: keys and values into pages (kernels.hpp, page_layout), over the vectors of an
// instruction set (vectors_impl.hpp).
#pragma once

#include "models/kernels/prepare_impl.hpp"

namespace {

template <class Isa>
struct keeping {
  template <class Number>
  static Number* into(void* page, std::uint64_t offset) {
    return reinterpret_cast<Number*>(static_cast<std::byte*>(page) + offset);
  }

  static void keep_floats(const float* k, const float* v, std::uint32_t dim, std::uint32_t position, float* keys,
                          float* values) {
    for (std::uint32_t d = 0; d < dim; ++d) {
      keys[d * page_positions + position] = k[d];
      values[position * dim + d] = v[d];
    }
  }

  static void keep_pairs(const float* k, const float* v, std::uint32_t dim, std::uint32_t position, std::uint16_t* keys,
                         std::uint16_t* values) {
    constexpr std::uint32_t piece = 64;
    std::uint16_t key[piece], value[piece];
    for (std::uint32_t first = 0; first < dim; first += piece) {
      const auto n = dim - first < piece ? dim - first : piece;
      preparing<Isa>::round_bf16(k + first, n, key);
      preparing<Isa>::round_bf16(v + first, n, value);
      for (std::uint32_t d = 0; d < n; ++d) {
        keys[((first + d) / 2 * page_positions + position) * 2 + (first + d) % 2] = key[d];
        values[(position / 2 * dim + first + d) * 2 + position % 2] = value[d];
      }
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
      return keep_pairs(k, v, dim, position, into<std::uint16_t>(page, at.keys), into<std::uint16_t>(page, at.values));
    if (type != dtype::i8_rows)
      return keep_floats(k, v, dim, position, into<float>(page, at.keys), into<float>(page, at.values));
    into<float>(page, at.key_scales)[position] =
        keep_bytes(k, dim, into<std::int8_t>(page, at.keys) + position, page_positions);
    into<float>(page, at.value_scales)[position] =
        keep_bytes(v, dim, into<std::int8_t>(page, at.values) + position * dim, 1);
  }
};

} // namespace
