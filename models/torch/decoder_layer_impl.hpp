// models/torch/decoder_layer_impl.hpp: a whole decoder layer, or an adapter, as one libtorch operator over packed
// weights (models/kernels/). Private to models/torch.
#pragma once

#include "models/kernels/packed.hpp"

#include <ATen/ATen.h>

#include <array>
#include <optional>

namespace virga::models::torch_impl {

/// Places in layer_weights.
enum layer_part : std::size_t {
  attention_norm,
  q_norm,
  k_norm,
  qkv,
  qkv_bias,
  o,
  o_bias,
  mlp_norm,
  gate_up,
  gate_up_bias,
  down,
  down_bias,
  output_norm,
  layer_parts
};

/// What a layer is made of, by layer_part. Vectors are f32; matrices are packed, all of one dtype. Biases and q_norm,
/// k_norm may be undefined. A decoder layer has mlp_norm, gate_up and down, an adapter output_norm.
using layer_weights = std::array<at::Tensor, layer_parts>;

struct layer_numbers {
  dtype type = dtype::f32;
  std::int64_t heads = 0, kv_heads = 0, dim = 0, mlp = 0;
  double eps = 0;
};

/// Where the rows of a step stand, for all layers with the same window.
struct row_places {
  at::Tensor rows;   ///< i64 [rows, 3]: position, first position seen, index of its history's first page in `pages`
  at::Tensor turns;  ///< f32 [2, rows, dim / 2]: cos and sin
  std::optional<at::Tensor> kept;  ///< i64, ascending: the rows that anyone needs behind this layer; none: all
};

/// Operator virga::decoder_layer on the CPU, through libtorch's dispatcher.
/// @param x [rows, hidden] f32, changed in place: its first rows, as many as are kept, are what leaves the layer
/// @param pages of all histories, one after the other, each f32 or bf16 [2, kv_heads, 64, dim], or bytes, laid out as
/// kernels::page_layout says; those of the rows' own positions are written first
/// @param scratch bytes; grown to what the call needs and left so
/// @throws c10::Error for shapes and dtypes that do not fit
void decoder_layer(at::Tensor& x, const layer_weights& w, const layer_numbers& n, const row_places& at,
                   at::TensorList pages, at::Tensor& scratch);

} // namespace virga::models::torch_impl
