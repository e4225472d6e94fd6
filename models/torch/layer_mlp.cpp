#include "models/torch/layer_call_impl.hpp"

#include <algorithm>

namespace virga::models::torch_impl {

namespace {

/// Rows of one piece of gate and up, so that it stays in the cache until it is multiplied; what tiles divide evenly.
constexpr std::uint32_t mlp_rows = 60;

/// By panels? One row reads the matrix faster in one go.
bool divides(const layer_call& c) { return c.left > 1 && c.mlp % kernels::panel_outputs == 0; }

/// Two panels of gate, the two of up.
constexpr std::uint32_t width_at_once = 2 * kernels::panel_outputs;

} // namespace

mlp_half::mlp_half(const layer_call& c, room& memory)
    : c_(c), both_(c.type, 2 * c.mlp, c.hidden, c.w[gate_up], c.w[gate_up_bias], c.left, memory),
      out_(c.type, c.hidden, c.mlp, c.w[down], c.w[down_bias], c.left, memory) {
  const std::uint64_t rows = c.left;
  normed_ = memory.take<float>(rows * static_cast<std::uint64_t>(c.hidden));
  mixed_ = memory.take<float>(c.type == dtype::f32 ? rows * static_cast<std::uint64_t>(c.mlp) : 0);
  sums_ = memory.take<float>(rows * out_.stride);
  all_ = divides(c) ? nullptr : memory.take<float>(rows * both_.stride);
}

void mlp_half::run() {
  c_.norm(mlp_norm, normed_, both_);
  out_.reads(mixed_);
  if (divides(c_))
    by_panels();
  else
    whole();
  c_.add_product(out_, sums_);
}

/// The inputs [first, last) of a row of the product behind, at most width_at_once where it is not in f32.
void mlp_half::mix(const float* gate, const float* up, std::uint32_t row, std::uint32_t first,
                   std::uint32_t last) const {
  alignas(64) float mixed[width_at_once];
  auto* to = c_.type == dtype::f32 ? mixed_ + std::int64_t{row} * c_.mlp + first : mixed;
  c_.k.swiglu(gate, up, last - first, to);
  c_.k.prepare(out_.shape, to, row, first, last, out_.prepared);
}

/// Panels of gate and up, and their product while they are in the cache.
void mlp_half::by_panels() {
  auto panels = static_cast<std::uint32_t>(c_.mlp) / kernels::panel_outputs;
  c_.pieces((panels + 1) / 2, std::max<std::int64_t>(1, c_.grain(both_) / 4), [&](std::uint32_t first, std::uint32_t last) {
    alignas(64) float gate[mlp_rows * width_at_once], up[mlp_rows * width_at_once];
    for (auto p = first * 2; p < std::min(last * 2, panels); p += 2)
      for (std::uint32_t r = 0; r < c_.left; r += mlp_rows) {
        auto rows = std::min(mlp_rows, c_.left - r), n = std::min(2u, panels - p);
        part_of(p, n, r, rows, gate);
        part_of(panels + p, n, r, rows, up);
        for (std::uint32_t i = 0; i < rows; ++i)
          mix(gate + i * width_at_once, up + i * width_at_once, r + i, p * kernels::panel_outputs,
              (p + n) * kernels::panel_outputs);
      }
  });
}

void mlp_half::part_of(std::uint32_t panel, std::uint32_t panels, std::uint32_t r, std::uint32_t rows, float* out) const {
  auto& f = both_;
  c_.k.multiply(f.shape, f.packed + panel * f.shape.panel_bytes(), f.from(r), rows, 0, panels, out, width_at_once);
  for (std::uint32_t i = 0; f.add && i < rows; ++i)
    for (std::uint32_t at = 0; at < panels * kernels::panel_outputs; ++at)
      out[i * width_at_once + at] += f.add[panel * kernels::panel_outputs + at];
}

void mlp_half::whole() {
  auto& f = both_;
  c_.pieces(f.shape.panels(), c_.grain(f), [&](std::uint32_t first, std::uint32_t last) {
    c_.k.multiply(f.shape, f.packed, f.prepared, c_.left, first, last, all_, f.stride);
  });
  c_.each_row(c_.left, [&](std::uint32_t r) {
    auto* one = all_ + std::uint64_t{r} * f.stride;
    for (std::uint32_t i = 0; f.add && i < f.shape.outputs; ++i)
      one[i] += f.add[i];
    const auto inputs = static_cast<std::uint32_t>(c_.mlp), step = c_.type == dtype::f32 ? inputs : width_at_once;
    for (std::uint32_t first = 0; first < inputs; first += step)
      mix(one + first, one + c_.mlp + first, r, first, std::min(inputs, first + step));
  });
}

} // namespace virga::models::torch_impl
