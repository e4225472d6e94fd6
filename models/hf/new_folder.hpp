// models/hf/new_folder.hpp: writing a folder that is made from another. Private to models/hf.
#pragma once

#include "models/hf/folder.hpp"

namespace virga::models::hf {

/// Of the list of hashes in folders that `virga cut` and `virga quantize` make.
inline constexpr auto list_name = "virga.json";

/// A folder beside `out` that takes its name when complete and vanishes when not.
class new_folder {
public:
  /// @throws bad_model when `out` exists or cannot be made
  explicit new_folder(const std::filesystem::path& out);
  ~new_folder();
  new_folder(const new_folder&) = delete;
  new_folder& operator=(const new_folder&) = delete;

  const std::filesystem::path& path() const { return part_; }
  void finish();

private:
  std::filesystem::path out_, part_;
};

/// Writes a small file. @throws std::runtime_error when the disk refuses
void write_text(const std::filesystem::path& file, const std::string& text);

/// virga.json: of which model, and which stages of it. @param stored empty, or of a quantised folder
void write_list(const std::filesystem::path& dir, const model_folder& whole, const std::vector<stage>& stages,
                const std::map<std::string, stored_entry>& stored);

} // namespace virga::models::hf
