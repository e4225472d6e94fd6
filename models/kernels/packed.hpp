// models/kernels/packed.hpp: how a weight matrix lies in memory for the products of kernels.hpp. One layout for every
// CPU, so that a file can hold it. Numbers of GGUF's types; the order of the bytes is ours (panels), for products that
// read memory once, in order.
//
// A matrix W [outputs, inputs] is cut into panels of 32 outputs; a panel stands as
//   f32    [inputs][32]                          one f32 each
//   bf16   [pairs of inputs][32][2]              one bf16 each
//   int8   per block of 32 inputs: 32 f16 scales, then [8][32][4] codes; w = scale * (code - 128)
//   int4   per block of 32 inputs: 32 f16 scales, then [4][32][4] bytes; the low half of byte (g, r, i) is the code of
//   input 4g + i
//          of output r, the high half that of input 16 + 4g + i; w = scale * (code - 8)
// Missing outputs and inputs are zero. int8 rounds as Q8_0 does, int4 as Q4_0.
#pragma once

#include "messages/types.hpp"

#include <cstdint>
#include <span>

namespace virga::models::kernels {

inline constexpr std::uint32_t panel_outputs = 32;
inline constexpr std::uint32_t block_inputs = 32;  ///< of int8 and int4

struct packed_shape {
  dtype type = dtype::f32;  ///< f32, bf16, int8 or int4
  std::uint32_t outputs = 0, inputs = 0;

  std::uint32_t panels() const { return (outputs + panel_outputs - 1) / panel_outputs; }
  std::uint32_t padded_outputs() const { return panels() * panel_outputs; }
  /// A whole number of what the type reads at once: 1, 2 or 32 inputs.
  std::uint32_t padded_inputs() const;
  std::uint64_t panel_bytes() const;
  std::uint64_t bytes() const { return panels() * panel_bytes(); }
};

/// Writes one panel. @param rows the panel's outputs, [up to 32][inputs] @param to panel_bytes()
void pack_panel(const packed_shape& shape, std::span<const float> rows, std::byte* to);

/// The weights of one output as the products see them. @param packed the whole matrix @param to `inputs` numbers
void unpack_row(const packed_shape& shape, const std::byte* packed, std::uint32_t output, float* to);

} // namespace virga::models::kernels
