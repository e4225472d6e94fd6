#include "models/kernels/packed.hpp"

#include "models/small_floats.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace virga::models::kernels {

namespace {

constexpr std::uint32_t scale_bytes = panel_outputs * sizeof(std::uint16_t);

/// Where a code of a block of int8 stands behind the scales.
std::size_t place8(std::uint32_t row, std::uint32_t k) { return (k / 4 * panel_outputs + row) * 4 + k % 4; }

struct codes {
  float scale = 0;
  std::uint8_t code[block_inputs] = {};
};

/// Q8_0: the largest weight becomes +-127.
codes eight_bits(const float* w) {
  float most = 0;
  for (std::uint32_t i = 0; i < block_inputs; ++i)
    most = std::max(most, std::abs(w[i]));
  codes out{most / 127, {}};
  const float inverse = out.scale > 0 ? 1 / out.scale : 0;
  for (std::uint32_t i = 0; i < block_inputs; ++i)
    out.code[i] = static_cast<std::uint8_t>(static_cast<int>(std::round(w[i] * inverse)) + 128);
  return out;
}

/// Q4_0: the weight of the largest magnitude becomes -8, which has no opposite.
codes four_bits(const float* w) {
  float most = 0;
  for (std::uint32_t i = 0; i < block_inputs; ++i)
    if (std::abs(w[i]) > std::abs(most))
      most = w[i];
  codes out{most / -8, {}};
  const float inverse = most != 0 ? 1 / out.scale : 0;
  for (std::uint32_t i = 0; i < block_inputs; ++i)
    out.code[i] = static_cast<std::uint8_t>(std::min(15, static_cast<int>(w[i] * inverse + 8.5f)));
  return out;
}

void pack_block(dtype type, const codes& from, std::uint32_t row, std::byte* block) {
  auto scale = to_f16(from.scale);
  std::memcpy(block + row * sizeof scale, &scale, sizeof scale);
  auto* to = reinterpret_cast<std::uint8_t*>(block) + scale_bytes;
  if (type == dtype::int8)
    for (std::uint32_t k = 0; k < block_inputs; ++k)
      to[place8(row, k)] = from.code[k];
  else
    for (std::uint32_t k = 0; k < block_inputs / 2; ++k)
      to[place8(row, k)] = static_cast<std::uint8_t>(from.code[k] | from.code[k + 16] << 4);
}

std::uint64_t block_bytes(dtype type) {
  return scale_bytes + std::uint64_t{panel_outputs} * block_inputs / (type == dtype::int8 ? 1 : 2);
}

void pack_blocks(const packed_shape& s, std::span<const float> rows, std::byte* to) {
  for (std::uint32_t row = 0; row < panel_outputs; ++row)
    for (std::uint32_t first = 0; first < s.padded_inputs(); first += block_inputs) {
      float w[block_inputs] = {};
      auto at = std::size_t{row} * s.inputs + first;
      if (at < rows.size())
        std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(at), std::min(block_inputs, s.inputs - first), w);
      auto c = s.type == dtype::int8 ? eight_bits(w) : four_bits(w);
      pack_block(s.type, c, row, to + first / block_inputs * block_bytes(s.type));
    }
}

float unpacked(dtype type, const std::byte* block, std::uint32_t row, std::uint32_t k) {
  std::uint16_t scale;
  std::memcpy(&scale, block + row * sizeof scale, sizeof scale);
  auto* codes = reinterpret_cast<const std::uint8_t*>(block) + scale_bytes;
  if (type == dtype::int8)
    return from_f16(scale) * static_cast<float>(codes[place8(row, k)] - 128);
  auto both = codes[place8(row, k % 16)];
  return from_f16(scale) * static_cast<float>((k < 16 ? both & 15 : both >> 4) - 8);
}

[[noreturn]] void no_such(dtype type) { throw std::logic_error("no packed matrix of " + std::string(to_string(type))); }

} // namespace

std::uint32_t packed_shape::padded_inputs() const {
  auto unit = type == dtype::f32 ? 1u : type == dtype::bf16 ? 2u : block_inputs;
  return (inputs + unit - 1) / unit * unit;
}

std::uint64_t packed_shape::panel_bytes() const {
  switch (type) {
    case dtype::f32: return std::uint64_t{padded_inputs()} * panel_outputs * 4;
    case dtype::bf16: return std::uint64_t{padded_inputs()} * panel_outputs * 2;
    case dtype::int8:
    case dtype::int4: return padded_inputs() / block_inputs * block_bytes(type);
    default: no_such(type);
  }
}

void pack_panel(const packed_shape& s, std::span<const float> rows, std::byte* to) {
  if (s.type == dtype::int8 || s.type == dtype::int4)
    return pack_blocks(s, rows, to);
  std::memset(to, 0, s.panel_bytes());
  for (std::size_t row = 0; row * s.inputs < rows.size(); ++row)
    for (std::uint32_t k = 0; k < s.inputs; ++k) {
      auto w = rows[row * s.inputs + k];
      if (s.type == dtype::f32)
        reinterpret_cast<float*>(to)[k * panel_outputs + row] = w;
      else
        reinterpret_cast<std::uint16_t*>(to)[(k / 2 * panel_outputs + row) * 2 + k % 2] = to_bf16(w);
    }
}

void unpack_row(const packed_shape& s, const std::byte* packed, std::uint32_t output, float* to) {
  auto* panel = packed + output / panel_outputs * s.panel_bytes();
  auto row = output % panel_outputs;
  for (std::uint32_t k = 0; k < s.inputs; ++k)
    switch (s.type) {
      case dtype::f32: to[k] = reinterpret_cast<const float*>(panel)[k * panel_outputs + row]; break;
      case dtype::bf16:
        to[k] = from_bf16(reinterpret_cast<const std::uint16_t*>(panel)[(k / 2 * panel_outputs + row) * 2 + k % 2]);
        break;
      case dtype::int8:
      case dtype::int4:
        to[k] = unpacked(s.type, panel + k / block_inputs * block_bytes(s.type), row, k % block_inputs);
        break;
      default: no_such(s.type);
    }
}

} // namespace virga::models::kernels
