// models/make_shard.hpp: from a model folder to a running shard.
#pragma once

#include "models/hf/adapter.hpp"
#include "models/hf/folder.hpp"
#include "models/progress.hpp"

#include <memory>

namespace virga::models {

struct shard_options {
  dtype compute = dtype::f32;                    ///< f64, f32, or bf16: weights and KV in bf16, rows and logits in f32
  std::uint64_t kv_bytes = 256u * 1024 * 1024;   ///< bound on KV memory
  std::vector<stage> stages{};                   ///< empty: those of the folder; else some of them, cut as finely as wanted
  std::shared_ptr<const hf::adapter_folder> adapter{};  ///< becomes a stage before the head; of the same model. None: nullptr
  load_progress progress{};                        ///< told while weights are converted; may be empty
};

/// @throws bad_model when the folder does not hold the stages, the adapter belongs to another model or its layers end elsewhere, or
/// the maker cannot compute in `compute` (both makers)
///
/// Plain C++ in f64 or f32, every output summed in an order fixed by its own row and keys: bit-identical over cuts, chunks, truncation
/// and ragged batches. The oracle, and the shard of the simulation.
std::unique_ptr<shard> make_reference_shard(const hf::model_folder& folder, const shard_options& options);

/// libtorch. Threads: as torch is set up in this process (one per engine by default).
std::unique_ptr<shard> make_torch_shard(const hf::model_folder& folder, const shard_options& options);

} // namespace virga::models
