#include "models/torch/linear_impl.hpp"

#include "models/kernels/kernels.hpp"

#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>

namespace virga::models::torch_impl {

namespace {

/// Rows whose preparation is divided.
constexpr std::int64_t piece_rows = 16;

at::Tensor linear(const at::Tensor& x, const at::Tensor& packed, std::int64_t type, std::int64_t outputs) {
  TORCH_CHECK(x.dim() == 2 && x.scalar_type() == at::kFloat, "virga::linear: x must be f32 [rows, inputs], is ",
              x.sizes());
  kernels::packed_shape shape{static_cast<dtype>(type), static_cast<std::uint32_t>(outputs),
                              static_cast<std::uint32_t>(x.size(1))};
  TORCH_CHECK(packed.is_contiguous() && packed.nbytes() == shape.bytes(), "virga::linear: ", packed.nbytes(),
              " bytes are no packed [", outputs, ", ", x.size(1), "]");
  auto rows = x.size(0), width = std::int64_t{shape.padded_outputs()}, panels = std::int64_t{shape.panels()};
  auto count = static_cast<std::uint32_t>(rows);
  auto from = x.contiguous();
  auto out = at::empty({rows, width}, x.options());
  auto room = at::empty({static_cast<std::int64_t>(kernels::prepared_bytes(shape, count))}, at::kByte);
  auto& k = kernels::best_kernels();
  auto values = from.const_data_ptr<float>();
  auto prepared = kernels::places(shape, count,
                                  shape.type == dtype::f32 ? static_cast<void*>(const_cast<float*>(values))
                                                           : room.mutable_data_ptr());
  at::parallel_for(0, rows, piece_rows, [&](std::int64_t first, std::int64_t last) {
    for (auto r = first; r < last; ++r)
      k.prepare(shape, values + r * shape.inputs, static_cast<std::uint32_t>(r), 0, shape.inputs, prepared);
  });
  at::parallel_for(0, panels, panels_at_once(shape, rows), [&](std::int64_t first, std::int64_t last) {
    k.multiply(shape, static_cast<const std::byte*>(packed.const_data_ptr()), prepared, count,
               static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last), out.mutable_data_ptr<float>(),
               shape.padded_outputs());
  });
  return outputs == width ? out : out.narrow(1, 0, outputs);
}

at::Tensor norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  TORCH_CHECK(x.dim() == 2 && x.is_contiguous() && x.scalar_type() == at::kFloat && weight.numel() == x.size(1),
              "virga::rms_norm: x must be contiguous f32 [rows, ", weight.numel(), "], is ", x.sizes());
  auto out = at::empty(x.sizes(), x.options());
  auto *from = x.const_data_ptr<float>(), *w = weight.const_data_ptr<float>();
  auto* to = out.mutable_data_ptr<float>();
  auto width = x.size(1);
  for (std::int64_t r = 0; r < x.size(0); ++r)
    kernels::best_kernels().rms_norm(from + r * width, w, static_cast<float>(eps), static_cast<std::uint32_t>(width),
                                     to + r * width);
  return out;
}

TORCH_LIBRARY_FRAGMENT(virga, m) {
  m.def("linear(Tensor x, Tensor packed, int type, int outputs) -> Tensor");
  m.def("rms_norm(Tensor x, Tensor weight, float eps) -> Tensor");
}

TORCH_LIBRARY_IMPL(virga, CPU, m) {
  m.impl("linear", linear);
  m.impl("rms_norm", norm);
}

} // namespace

at::Tensor packed_linear(const at::Tensor& x, const at::Tensor& packed, const kernels::packed_shape& shape) {
  static const auto call =
      c10::Dispatcher::singleton().findSchemaOrThrow("virga::linear", "").typed<decltype(linear)>();
  return call.call(x, packed, static_cast<std::int64_t>(shape.type), shape.outputs);
}

at::Tensor packed_rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  static const auto call =
      c10::Dispatcher::singleton().findSchemaOrThrow("virga::rms_norm", "").typed<decltype(norm)>();
  return call.call(x, weight, eps);
}

std::int64_t panels_at_once(const kernels::packed_shape& shape, std::int64_t rows) {
  constexpr std::int64_t work = 1 << 16;  // multiplications
  return std::max<std::int64_t>(2, work / std::max<std::int64_t>(1, rows * shape.inputs * kernels::panel_outputs));
}

} // namespace virga::models::torch_impl
