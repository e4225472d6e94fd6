// models/torch/device_model_impl.hpp: weights, KV and arithmetic of a shard's stages on a device: all that a CUDA graph
// may see of a step. Private to models/torch.
#pragma once

#include "models/rotary.hpp"
#include "models/torch/paged_kv_impl.hpp"
#include "models/torch/replays_impl.hpp"
#include "models/torch/stage_weights_impl.hpp"

namespace virga::models::torch_impl {

struct device_layout {
  std::vector<stage> stages;
  std::vector<std::uint32_t> first_lanes;  ///< one more entry than stages
  std::int64_t pages = 0;                  ///< of KV
  at::ScalarType type = at::kFloat;        ///< of rows and logits
  at::Device device = at::kCPU;
};

class device_model {
public:
  /// Everything lies on the device, or is on its way there in the current stream. @throws bad_model,
  /// c10::OutOfMemoryError
  device_model(const hf::model_folder& folder, const shard_options& options, device_layout layout);

  paged_kv& kv() { return kv_; }
  const paged_kv& kv() const { return kv_; }
  bool takes_tokens(const step_shape& s) const { return layout_.stages[s.first_stage].kind == stage_kind::embedding; }

  /// Everything between upload and download. A function of the shape, the numbers, the rows and the KV alone, as graphs
  /// need it.
  step_output forward(const step_shape& s, const at::Tensor& numbers, const at::Tensor& rows);

private:
  void run_layer(at::Tensor& x, std::uint32_t lane, const step_shape& s, const step_numbers& n, const turns& turn,
                 std::map<std::int64_t, part_masks>& masks);
  turns turns_of(const at::Tensor& positions) const;
  at::Tensor score(const at::Tensor& rows, const step_shape& s) const;

  device_layout layout_;
  hf::model_config config_;
  head_shape heads_;
  stage_weights weights_;
  paged_kv kv_;
  at::Tensor frequencies_;  ///< f64 [head_dim / 2]
  double amplitude_ = 1;
};

} // namespace virga::models::torch_impl
