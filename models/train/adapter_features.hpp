// models/train/adapter_features.hpp: what an adapter is trained on: hidden rows of the frozen model, made by the shard
// that also serves it, so that every family works that can be run.
#pragma once

#include "models/make_shard.hpp"
#include "models/train/adapter_net.hpp"
#include "models/train/packing.hpp"

#include <memory>
#include <span>

namespace virga::models::train {

/// A sequence of this many positions in whole KV pages.
std::uint64_t whole_pages(std::uint64_t positions);

class adapter_features {
public:
  /// Loads the model. @param positions that one step may hold in its cache: bounds its memory; at least
  /// whole_pages(longest example) @param compute f32, or bf16 for half the memory
  /// @throws bad_model when it does not fit into memory, or the split is not 1 .. layers - 1
  adapter_features(const hf::model_folder& base, std::uint32_t split, std::uint64_t positions, dtype compute,
                   const load_progress& progress = {});

  /// Counted are the places that predict an answer token: from the last one of the prompt to the last but one.
  adapter_batch of(std::span<const example> examples);

  /// The whole model: embedding | layers below the adapter | the others | head.
  shard& model() { return *model_; }

private:
  void add(std::span<const example> some, adapter_batch& out);

  std::unique_ptr<shard> model_;
  std::uint64_t positions_;
  std::vector<float> norm_;  ///< the model's last one
  double norm_eps_;
};

} // namespace virga::models::train
