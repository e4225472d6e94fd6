// models/torch/linear_impl.hpp: the product with a packed matrix and the norm before it (models/kernels/) as libtorch
// operators. Private to models/torch.
#pragma once

#include "models/kernels/packed.hpp"

#include <ATen/ATen.h>

namespace virga::models::torch_impl {

/// Operator virga::linear on the CPU, through libtorch's dispatcher.
/// @param x [rows, inputs] f32 @param packed bytes, shape.bytes() of them @returns [rows, outputs] f32, rows one after
/// the other in memory when outputs is a multiple of 32, else with room between them
/// @throws c10::Error for shapes and dtypes that do not fit
at::Tensor packed_linear(const at::Tensor& x, const at::Tensor& packed, const kernels::packed_shape& shape);

/// Operator virga::rms_norm. @param x [rows, width] f32, contiguous @param weight [width] f32
at::Tensor packed_rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// Panels of one piece of work for a thread, for this many rows: less is not worth waking it.
std::int64_t panels_at_once(const kernels::packed_shape& shape, std::int64_t rows);

} // namespace virga::models::torch_impl
