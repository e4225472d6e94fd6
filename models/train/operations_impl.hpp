// models/train/operations_impl.hpp: the differentiable operations of the net that libtorch has only in many small steps.
// Private to models/train, as every *_impl.hpp.
#pragma once

#include "models/train/attention.hpp"

#include <ATen/ATen.h>

#include <memory>
#include <vector>

namespace virga::models::train {

/// Places of the batch that belong together, and the rotary angles of each.
struct layout {
  fused::attention_shape shape;
  std::vector<fused::stretch> examples;
  at::Tensor cos, sin;  ///< [places, dim / 2]
};

/// x [n, width] f32, weight [width] f32 -> [n, width] in `out`.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, at::ScalarType out);

/// Rotary positions and causal attention inside each example: qkv [places, heads + 2 kv_heads, dim] -> [places, heads * dim],
/// in qkv's type; arithmetic is f32.
at::Tensor attend(const at::Tensor& qkv, const std::shared_ptr<layout>& in);

/// silu(gate) * up of both [n, 2 width] -> [n, width]. (Shazeer 2020)
at::Tensor swiglu(const at::Tensor& both);

} // namespace virga::models::train
