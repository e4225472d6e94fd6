// models/torch/layer_impl.hpp: one Llama decoder layer on libtorch. Private to models/torch, as every *_impl.hpp.
// Shapes: rows of all segments of a group stand one after the other, [total, hidden]; a page of one lane holds keys and
// values, [2, kv_heads, page positions, head_dim].
#pragma once

#include "models/hf/folder.hpp"

#include <ATen/ATen.h>

#include <vector>

namespace virga::models::torch_impl {

/// The tensor in the compute dtype, in memory of its own.
at::Tensor to_aten(const hf::tensor_view& t, at::ScalarType type);

struct head_shape {
  std::int64_t heads = 0, kv_heads = 0, dim = 0;
};

/// x / sqrt(mean(x^2) + eps) * weight
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// One segment's place in the group and in its own history.
struct span_of_rows {
  std::int64_t first = 0, count = 0;  ///< rows of the group
  std::int64_t base = 0;              ///< position of the first one
  std::vector<at::Tensor> masks;      ///< of each block of query rows, [rows, keys]: 0 or -infinity; none for one row
};

/// Rows of one block of queries: bounds the matrix of scores.
inline constexpr std::int64_t query_rows = 256;

/// The masks that let each row see its own position and those before it.
std::vector<at::Tensor> causal_masks(std::int64_t base, std::int64_t count, at::ScalarType type);

/// cos and signed sin of every row's position, [total, 1, dim]: x * cos + swapped halves of x * sin.
struct turns {
  at::Tensor cos, sin;
};

class layer {
public:
  layer(const hf::model_folder& folder, std::uint32_t index, at::ScalarType type);

  /// Adds attention and MLP to x in place. Writes the rows' keys and values into `pages` (by segment).
  void run(at::Tensor& x, const std::vector<span_of_rows>& segments, const std::vector<std::vector<at::Tensor>>& pages,
           const turns& turn) const;

private:
  at::Tensor attention(const at::Tensor& x, const std::vector<span_of_rows>& segments,
                       const std::vector<std::vector<at::Tensor>>& pages, const turns& turn) const;

  head_shape shape_;
  double eps_;
  at::Tensor attention_norm_, qkv_, o_, mlp_norm_, gate_up_, down_;
};

} // namespace virga::models::torch_impl
