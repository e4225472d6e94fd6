// models/kernels/prepare_impl.hpp: rows as products read them (kernels.hpp, prepared_rows), over the vectors of an
// instruction set (vectors_impl.hpp).
#pragma once

#include "models/kernels/vectors_impl.hpp"

namespace {

template <class Isa>
struct preparing {
  using vf = typename Isa::vf;
  using vi = typename Isa::vi;

  /// n numbers as bf16, to the nearest, ties to even. May be in place.
  static void round_bf16(const float* x, std::uint32_t n, void* to) {
    auto* out = static_cast<std::byte*>(to);
    std::uint32_t i = 0;
    for (; i + Isa::lanes <= n; i += Isa::lanes) {
      const auto upper = Isa::rounded(load<vf>(x + i));
      store(out + i * 2, upper);
    }
    for (; i < n; ++i) {
      const auto upper = Isa::rounded(vf{} + x[i])[0];
      store(out + i * 2, upper);
    }
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
      store(to + i * Isa::lanes, narrow);
      codes += code;
    }
    zero = -code_of_zero * Isa::total(codes);
  }

  static void prepare(const packed_shape& s, const float* x, std::uint32_t row, std::uint32_t first, std::uint32_t last,
                      const prepared_rows& to) {
    if (s.type == dtype::f32)
      return;
    const auto at = std::uint64_t{row} * to.stride + first;
    if (s.type == dtype::bf16) {
      auto* out = const_cast<std::uint16_t*>(static_cast<const std::uint16_t*>(to.values)) + at;
      round_bf16(x, last - first, out);
      if (last == s.inputs && last != to.stride)
        out[last - first] = 0;
      return;
    }
    auto* out = const_cast<std::int8_t*>(static_cast<const std::int8_t*>(to.values)) + at;
    const auto block = std::uint64_t{row} * to.blocks + first / block_inputs;
    auto* scale = const_cast<float*>(to.scales) + block;
    auto* zero = const_cast<word32*>(to.zeros) + block;
    for (auto i = first; i < last; i += block_inputs, x += block_inputs, out += block_inputs) {
      float with_zeros[block_inputs] = {};
      const auto left = last - i;
      for (std::uint32_t k = 0; left < block_inputs && k < left; ++k)
        with_zeros[k] = x[k];
      quantise(left < block_inputs ? with_zeros : x, out, *scale++, *zero++, s.type == dtype::int8 ? 128 : 8);
    }
  }
};

} // namespace
