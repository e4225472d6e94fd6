// models/torch/layer_impl.hpp: one decoder layer on libtorch, or an adapter: such a layer without MLP, whose sum is normed. Private to models/torch, as every *_impl.hpp.
// Shapes: rows of all segments of a group stand one after the other, [total, hidden], in the compute dtype (f64 or f32); a
// page of one lane holds keys and values, [2, kv_heads, page positions, head_dim], in the dtype of the KV; with packed weights
// it is as kernels::page_layout says.
#pragma once

#include "models/torch/attention_impl.hpp"
#include "models/torch/decoder_layer_impl.hpp"
#include "models/torch/weights_impl.hpp"

#include <c10/util/FunctionRef.h>

namespace virga::models::torch_impl {

/// x / sqrt(mean(x^2) + eps) * weight, over the last dimension
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// Keeps the keys and values of a layer's rows, and attends. @param qkv [rows, heads + 2 * kv_heads, dim], turned @param window of
/// the layer; 0: none @returns [rows, heads * dim] in the dtype of qkv
using attention = c10::function_ref<at::Tensor(const at::Tensor& qkv, std::int64_t window)>;

class layer {
public:
  layer(weight_loader& load, const hf::model_config& c, std::uint32_t index);
  /// The adapter: `load` reads its folder, `c` is its model's.
  layer(weight_loader& load, const hf::model_config& c);

  /// With packed weights: adds attention and MLP to x in place, or adds attention and norms. Writes the rows' keys and
  /// values into `pages` (of all segments, one after the other). @param scratch of the operator
  void run(at::Tensor& x, const row_places& at, at::TensorList pages, at::Tensor& scratch) const;
  /// The same with libtorch's operators. @param pages by segment
  void run(at::Tensor& x, const std::vector<span_of_rows>& segments, const std::vector<std::vector<at::Tensor>>& pages,
           const turns& turn) const;
  /// With libtorch's operators and the KV elsewhere. On any device.
  void run(at::Tensor& x, const turns& turn, attention attend) const;

  std::int64_t window() const { return window_; }  ///< positions that a row sees, its own included; 0: all

private:
  void gather();
  at::Tensor queries_keys_values(const at::Tensor& x, const turns& turn) const;
  at::Tensor over_pages(const at::Tensor& qkv, const std::vector<span_of_rows>& segments,
                        const std::vector<std::vector<at::Tensor>>& pages) const;

  head_shape shape_;
  double eps_;
  std::int64_t window_;
  at::Tensor attention_norm_, mlp_norm_, q_norm_, k_norm_;
  at::Tensor output_norm_;  ///< of an adapter; undefined: a decoder layer
  product qkv_, o_, gate_up_, down_;
  layer_weights packed_;  ///< all of them again, as the operator takes them
};

} // namespace virga::models::torch_impl
