// models/torch/stage_weights_impl.hpp: the weights of a shard's stages. Private to models/torch.
#pragma once

#include "models/torch/layer_impl.hpp"

namespace virga::models::torch_impl {

/// What the stages have; undefined where none of them needs it.
struct stage_weights {
  /// Converts everything, adapter included. @throws bad_model
  stage_weights(const hf::model_folder& folder, const shard_options& options, const std::vector<stage>& stages,
                const weight_types& types);

  at::Tensor norm;  ///< of the head
  product embedding, head;
  std::vector<layer> layers;  ///< by lane; an adapter's among them

private:
  void load(weight_loader& from, const hf::model_config& c, const stage& s);
};

} // namespace virga::models::torch_impl
