// deploy/model_parts.hpp: which part of which model an engine of the manifest holds, found from its folder.
#pragma once

#include "deploy/manifest.hpp"
#include "models/hf/adapter.hpp"

#include <map>
#include <memory>

namespace virga::deploy {

/// What an engine holds.
struct model_part {
  std::shared_ptr<const models::hf::model_folder> folder;  ///< the one that the manifest names
  std::vector<models::stage> stages;                       ///< those of `stages:`, else the folder's
  bool cut = false;                                        ///< `stages` are not the folder's
  std::shared_ptr<const models::hf::adapter_folder> adapter{};  ///< nullptr: none
  dtype compute = dtype::f32;                              ///< that of `dtype:`, else of a quantised folder, else f32

  std::uint32_t layers() const { return folder->config().num_hidden_layers; }
  bool whole() const;
  /// The decoder layers [first, last) that a device leaves to the cloud: all from some layer on. Nothing when there are
  /// none, or when embedding or head is missing.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> gap() const;
  /// The same when the device leaves all layers from `split` on to the cloud, though it may hold some of them to draft with; 0: gap().
  std::optional<std::pair<std::uint32_t, std::uint32_t>> gap_from(std::uint64_t split) const;
  /// How many of the stages stand before layer `first`.
  std::uint32_t stages_before(std::uint32_t first) const;
  /// How the engine's shard is described, with its adapter.
  std::string text() const;
  /// The decoder layers [first, last) when nothing else is held.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> middle() const;
};

/// Loads each folder once.
class model_parts {
public:
  /// Adds to `found` and returns nothing when the folder or the stages are wrong.
  std::optional<model_part> of(const engine_entry& engine, problems& found);

private:
  std::optional<model_part> stages_of(const engine_entry& engine, problems& found);
  bool runs_in(const model_part& part, const engine_entry& engine, problems& found) const;
  bool add_adapter(model_part& part, const engine_entry& engine, problems& found);

  std::map<std::string, std::shared_ptr<const models::hf::model_folder>> folders_;
  std::map<std::string, std::shared_ptr<const models::hf::adapter_folder>> adapters_;
};

} // namespace virga::deploy
