// models/hf/pack.hpp: a model's matrices as the kernels read them, for the loader and for `virga quantize`: so that both
// give the same bytes. Private to models/.
#pragma once

#include "models/hf/safetensors.hpp"
#include "models/kernels/packed.hpp"

namespace virga::models::hf {

/// Some matrices, one below the other, as one packed matrix.
class packer {
public:
  /// @param parts at least one, [outputs, inputs] of equal inputs, in numbers; their bytes outlive this
  /// @param to f32, bf16, int8 or int4
  packer(std::vector<tensor_view> parts, dtype to);

  const kernels::packed_shape& shape() const { return shape_; }

  /// Writes the panels [first, last). Several threads may. Holds 32 rows in f32. @param to so many panel_bytes()
  void pack(std::uint32_t first, std::uint32_t last, std::byte* to) const;

private:
  std::size_t read_rows(std::uint64_t first, float* to) const;

  std::vector<tensor_view> parts_;
  kernels::packed_shape shape_;
};

} // namespace virga::models::hf
