// deploy/adapter_scoring.hpp: what `virga train adapter` and `virga eval --adapter` measure alike.
#pragma once

#include "models/make_shard.hpp"
#include "models/train/acceptance.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace virga::deploy {

/// What a device holds, from the folders: embedding, the layers below the adapter, adapter, head.
/// @param longest tokens of one sequence; some dozens are run at once @throws bad_model
std::unique_ptr<models::shard> load_device(const models::hf::model_folder& base, const std::filesystem::path& adapter,
                                           dtype compute, std::uint64_t longest);

/// Questions about the world whose answers shall be drafted.
struct world_drafts {
  std::string split = "test";  ///< or "validation"
  std::uint64_t seed = 1;
  std::uint32_t questions = 1000;
  std::string read_log;        ///< of reads of the test split; "": the default

  /// For tables: which requests these are.
  std::string description() const;
};

/// Logs a read of the test split. @param what is scored @param whole the whole model, which answers
std::vector<models::train::drafted_request> requests_of(const world_drafts& d, const std::string& what,
                                                        const models::world::world& w,
                                                        const models::world::vocabulary& words, models::shard& whole);

} // namespace virga::deploy
