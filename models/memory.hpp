// models/memory.hpp: does a shard fit into this machine. Asked before anything is converted.
#pragma once

#include "models/make_shard.hpp"

#include <filesystem>
#include <string>

namespace virga::models {

/// Bytes that a shard will hold at once.
struct memory_need {
  std::uint64_t numbers = 0;  ///< weights
  std::uint64_t weights = 0;  ///< the same in the dtype of the shard
  std::uint64_t kv = 0;       ///< the bound that it was given
  std::uint64_t step = 0;     ///< rows and intermediate results of one step of `rows` rows
  std::uint64_t total() const { return weights + kv + step; }
};

memory_need need_of(const hf::model_folder& folder, const shard_options& options, std::uint32_t rows);

/// KV bytes of one position, all layers, scales included. @param t dtype of the KV (kv_type())
std::uint64_t kv_bytes_per_token(const hf::model_config& c, dtype t);

/// Bytes that this process may still take: MemAvailable, or less where a control group (v2 or v1) says so. File pages of
/// the group count as free, since they can be dropped. @param root for tests @returns UINT64_MAX when nobody says
std::uint64_t free_memory(const std::filesystem::path& root = "/");

/// @throws bad_model with the arithmetic and the cures when `free` bytes are not enough
void check_memory(const hf::model_folder& folder, const shard_options& options, std::uint32_t rows,
                  std::uint64_t free = free_memory());

/// "498,234,368 numbers x 2 bytes (bf16) = 950.3 MiB of weights + 256.0 MiB of KV + 60.1 MiB for a step = 1.2 GiB"
std::string arithmetic(const memory_need& need, dtype weights);

/// "12.3 MiB", "1.2 GiB", "812 bytes".
std::string bytes_text(std::uint64_t bytes);

} // namespace virga::models
