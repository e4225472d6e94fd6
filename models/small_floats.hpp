// models/small_floats.hpp: bf16 and f16 bits and back. To the nearest, ties to even; beyond the range: infinity; NaN
// stays NaN.
#pragma once

#include <bit>
#include <cstdint>

namespace virga::models {

inline float from_bf16(std::uint16_t bits) noexcept { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

inline std::uint16_t to_bf16(float value) noexcept {
  auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return static_cast<std::uint16_t>(bits >> 16 | 0x40u);  // rounding could turn NaN into infinity
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

inline float from_f16(std::uint16_t bits) noexcept {
  constexpr float scale = 0x1p112f;  // from f16's smallest exponent to f32's
  auto sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16, rest = static_cast<std::uint32_t>(bits & 0x7fffu) << 13;
  if (rest >= 0x0f800000u)  // infinity and NaN
    return std::bit_cast<float>(sign | rest | 0x7f800000u);
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest) * scale));
}

inline std::uint16_t to_f16(float value) noexcept {
  auto bits = std::bit_cast<std::uint32_t>(value), rest = bits & 0x7fffffffu;
  auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  if (rest > 0x7f800000u)
    return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (rest >= 0x47800000u)  // 65536
    return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (rest < 0x38800000u) {  // below 2^-14: adding 0.5 lets the hardware round to f16's smallest steps
    auto steps = std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest) + 0.5f) - 0x3f000000u;
    return static_cast<std::uint16_t>(sign | steps);
  }
  return static_cast<std::uint16_t>(sign | (rest - (112u << 23) + 0xfffu + (rest >> 13 & 1u)) >> 13);
}

} // namespace virga::models
