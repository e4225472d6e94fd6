// models/make_shard.hpp: from a model folder to a running shard.
#pragma once

#include "models/hf/adapter.hpp"
#include "models/hf/folder.hpp"
#include "models/progress.hpp"

#include <memory>
#include <optional>

namespace virga::models {

/// Dtype of a shard's KV beside weights of this one, where nobody asked for another.
inline dtype kv_type(dtype weights) { return weights == dtype::int8 || weights == dtype::int4 ? dtype::bf16 : weights; }

struct shard_options {
  /// f64; f32; or with rows and logits in f32: bf16 (weights and KV), int8 or int4 (weights; KV in bf16).
  dtype compute = dtype::f32;
  std::uint64_t kv_bytes = 256u * 1024 * 1024;   ///< bound on KV memory
  std::vector<stage> stages{};                   ///< empty: those of the folder; else some of them, cut as finely as wanted
  std::shared_ptr<const hf::adapter_folder> adapter{};  ///< becomes a stage before the head; of the same model. None: nullptr
  load_progress progress{};                        ///< told while weights are converted; may be empty
  /// Of the torch shard: libtorch's own operators for everything, int8 and int4 widened to f32. The oracle of our kernels, and what
  /// f32 and bf16 run on where the CPU has nothing better than plain ones.
  bool libtorch_only = false;
  /// Of the torch shard below f32 rows: keys and values in f32, bf16 or i8_rows (bytes, with an f32 scale for each
  /// position's key and value in each head; our kernels only). None: as kv_type() says.
  std::optional<dtype> kv{};
  /// Of the torch shard: "cpu", or "cuda:N" with f64, f32 or bf16, where a build with CUDA runs on a machine that has one.
  std::string device = "cpu";
};

inline dtype kv_type(const shard_options& o) { return o.kv.value_or(kv_type(o.compute)); }

/// @throws bad_model when the folder does not hold the stages, the adapter belongs to another model or its layers end elsewhere, or
/// the maker cannot compute in `compute` or keep `kv` (both makers)
///
/// Plain C++ in f64 or f32, every output summed in an order fixed by its own row and keys: bit-identical over cuts, chunks, truncation
/// and ragged batches. The oracle, and the shard of the simulation.
std::unique_ptr<shard> make_reference_shard(const hf::model_folder& folder, const shard_options& options);

/// libtorch. Threads: as torch is set up in this process (one per engine by default).
std::unique_ptr<shard> make_torch_shard(const hf::model_folder& folder, const shard_options& options);

/// What is wrong with the name of a device, "" for "cpu" and "cuda:N".
std::string device_complaint(const std::string& name);

/// Bytes that weights and KV may still take on a device of that name: free_memory(), or what the GPU says.
/// @throws bad_model with the cure when there is no such device, or this build has no CUDA
std::uint64_t free_memory_on(const std::string& device);

} // namespace virga::models
