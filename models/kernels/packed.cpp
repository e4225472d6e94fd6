#include "models/kernels/packed.hpp"

#include "models/small_floats.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace virga::models::kernels {

namespace {

constexpr std::uint32_t scale_bytes = panel_outputs * sizeof(std::uint16_t);

/// Where a code of a block of int8 stands behind the scales.
std::size_t place8(std::uint32_t row, std::uint32_t k) { return (k / 4 * panel_outputs + row) * 4 + k % 4; }

/// 1 / scale, or 0 for a block of zeros, or of numbers so small that their f16 scale is 0.
float inverse_of(float scale) {
  auto inverse = 1 / scale;
  return std::isfinite(inverse) ? inverse : 0;
}

void put_scale(float scale, std::uint32_t row, std::byte* block) {
  auto bits = to_f16(scale);
  std::memcpy(block + row * sizeof bits, &bits, sizeof bits);
}

/// Codes [0, count) of a row: fours stay together.
void put_codes(const std::uint8_t* codes, std::uint32_t count, std::uint32_t row, std::byte* block) {
  for (std::uint32_t k = 0; k < count; k += 4)
    std::memcpy(block + scale_bytes + place8(row, k), codes + k, 4);
}

/// Q8_0: the largest weight becomes +-127. Bits of magnitudes are in the order of the magnitudes.
void put_eight_bits(const float* w, std::uint32_t row, std::byte* block) {
  std::uint32_t most = 0;
  for (std::uint32_t i = 0; i < block_inputs; ++i)
    most = std::max(most, std::bit_cast<std::uint32_t>(w[i]) & 0x7fffffffu);
  const auto scale = std::bit_cast<float>(most) / 127, inverse = inverse_of(scale);
  std::uint8_t code[block_inputs];
  for (std::uint32_t i = 0; i < block_inputs; ++i) {
    auto exact = w[i] * inverse;
    auto whole = static_cast<int>(exact);
    auto rest = exact - static_cast<float>(whole);
    code[i] = static_cast<std::uint8_t>(whole + (rest >= 0.5f) - (rest <= -0.5f) + 128);
  }
  put_scale(scale, row, block);
  put_codes(code, block_inputs, row, block);
}

/// The number of the largest magnitude, of two the first.
float extreme(const float* w) {
  std::int32_t up = 0, down = 0;
  for (std::uint32_t i = 0; i < block_inputs; ++i) {
    auto bits = std::bit_cast<std::int32_t>(w[i]);
    up = std::max(up, bits);
    down = std::max(down, bits ^ INT32_MIN);
  }
  if (up != down)
    return up > down ? std::bit_cast<float>(up) : -std::bit_cast<float>(down);
  const auto most = std::bit_cast<float>(up);
  return most > 0 ? *std::find_if(w, w + block_inputs, [=](float v) { return std::abs(v) == most; }) : 0;
}

/// Q4_0: the weight of the largest magnitude becomes -8, which has no opposite.
void put_four_bits(const float* w, std::uint32_t row, std::byte* block) {
  const auto scale = extreme(w) / -8, inverse = inverse_of(scale);
  std::uint8_t code[block_inputs], both[block_inputs / 2];
  for (std::uint32_t i = 0; i < block_inputs; ++i)
    code[i] = static_cast<std::uint8_t>(std::min(15, static_cast<int>(w[i] * inverse + 8.5f)));
  for (std::uint32_t i = 0; i < block_inputs / 2; ++i)
    both[i] = static_cast<std::uint8_t>(code[i] | code[i + 16] << 4);
  put_scale(scale, row, block);
  put_codes(both, block_inputs / 2, row, block);
}

/// f32 or bf16: a word holds one input or two.
void put_words(const float* w, std::uint32_t words, bool pairs, std::uint32_t row, std::byte* to) {
  std::uint32_t word[block_inputs];
  if (pairs)
    for (std::uint32_t i = 0; i < block_inputs / 2; ++i)
      word[i] = to_bf16(w[2 * i]) | std::uint32_t{to_bf16(w[2 * i + 1])} << 16;
  else
    std::memcpy(word, w, sizeof word);
  auto* out = reinterpret_cast<std::uint32_t*>(to) + row;
  for (std::uint32_t i = 0; i < words; ++i)
    out[i * panel_outputs] = word[i];
}

/// A row's inputs from `first` on: in place, or in `room` with zeros for those that the matrix does not have.
const float* inputs_of(const packed_shape& s, std::span<const float> rows, std::uint32_t row, std::uint32_t first,
                       float (&room)[block_inputs]) {
  auto at = std::size_t{row} * s.inputs + first;
  auto count = at < rows.size() ? std::min(block_inputs, s.inputs - first) : 0;
  if (count == block_inputs)
    return rows.data() + at;
  std::fill_n(room, block_inputs, 0.f);
  std::copy_n(rows.data() + (count > 0 ? at : 0), count, room);
  return room;
}

std::uint64_t block_bytes(dtype type) {
  return scale_bytes + std::uint64_t{panel_outputs} * block_inputs / (type == dtype::int8 ? 1 : 2);
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
  const bool pairs = s.type == dtype::bf16;
  const auto whole = s.panel_bytes() / s.padded_inputs();  // bytes of one input, of blocks on average
  float room[block_inputs];
  for (std::uint32_t first = 0; first < s.inputs; first += block_inputs)
    for (std::uint32_t row = 0; row < panel_outputs; ++row) {
      auto* w = inputs_of(s, rows, row, first, room);
      auto* at = to + first * whole;
      if (s.type == dtype::int8)
        put_eight_bits(w, row, at);
      else if (s.type == dtype::int4)
        put_four_bits(w, row, at);
      else
        put_words(w, std::min(block_inputs, s.padded_inputs() - first) / (pairs ? 2 : 1), pairs, row, at);
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
