// deploy/model_parts.hpp: which part of which model an engine of the manifest holds, found from its folder.
#pragma once

#include "deploy/manifest.hpp"
#include "models/hf/folder.hpp"

#include <map>
#include <memory>

namespace virga::deploy {

/// What an engine holds.
struct model_part {
  std::shared_ptr<const models::hf::model_folder> folder;  ///< the one that the manifest names
  std::vector<models::stage> stages;                       ///< those of `stages:`, else the folder's
  bool cut = false;                                        ///< `stages` are fewer than the folder's

  std::uint32_t layers() const { return folder->config().num_hidden_layers; }
  bool whole() const;
  /// The decoder layers [first, last) that a device leaves to the cloud: all from some layer on. Nothing when there are
  /// none, or when embedding or head is missing.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> gap() const;
  /// The decoder layers [first, last) when nothing else is held.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> middle() const;
};

/// Loads each folder once.
class model_parts {
public:
  /// Adds to `found` and returns nothing when the folder or the stages are wrong.
  std::optional<model_part> of(const engine_entry& engine, problems& found);

private:
  std::map<std::string, std::shared_ptr<const models::hf::model_folder>> folders_;
};

} // namespace virga::deploy
