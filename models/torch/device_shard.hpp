// models/torch/device_shard.hpp: the shard of cuda:N. All its KV pages lie in one tensor and are gathered by number; a
// step uploads its numbers once, waits once, at its end, and small steps are CUDA graphs. Everything but the graphs
// runs on the CPU too, for tests.
#pragma once

#include "models/make_shard.hpp"

namespace virga::models {

/// What happened to steps so far.
struct device_counts {
  std::uint64_t repeated = 0;  ///< of one of few shapes
  std::uint64_t ragged = 0;    ///< of a shape of their own
  std::uint64_t graphs = 0;    ///< made
};

/// @param options f64, f32 or bf16; device "cpu" or "cuda:N" @param graphs whether small steps may become CUDA graphs
/// @param counts written after each step; must outlive the shard. nullptr: not wanted
/// @throws bad_model as make_torch_shard, or when the device has no room for weights and KV
std::unique_ptr<shard> make_device_shard(const hf::model_folder& folder, const shard_options& options,
                                         bool graphs = true, device_counts* counts = nullptr);

} // namespace virga::models
