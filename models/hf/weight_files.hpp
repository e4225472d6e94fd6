// models/hf/weight_files.hpp: the tensors of a folder, from one model.safetensors or from the files that
// model.safetensors.index.json names. Private to models/hf.
#pragma once

#include "models/hf/folder.hpp"

namespace virga::models::hf {

class weight_files {
public:
  /// model.safetensors where there is one (as transformers prefers it), else the index. An index names plain files of this
  /// folder; links, as the hub's cache has them, are followed. @throws bad_model for a missing or foreign file, a tensor
  /// that stands in another file than the index says, or one that the index does not name
  /// @param packed U8 is read too
  explicit weight_files(const std::filesystem::path& dir, bool packed = false);

  const std::map<std::string, tensor_view>& tensors() const { return tensors_; }
  tensor_view& tensor(const std::string& name) { return tensors_.at(name); }

  /// The file that holds the tensor; for one that is missing, the file that should name it.
  const std::string& where(const std::string& tensor) const;

  /// Asks the system to read all files, one after the other. Returns at the end, or when stopped.
  void read_ahead(const std::stop_token& stop) const;

  /// Takes a tensor out that the model does not use.
  void drop(const std::string& tensor);

private:
  void open_one(const std::filesystem::path& file);
  void open_index(const std::filesystem::path& dir, const std::filesystem::path& index);

  bool packed_;
  std::string list_;  ///< the only file, or the index
  std::vector<safetensors_file> files_;
  std::map<std::string, tensor_view> tensors_;
  std::map<std::string, std::string> file_of_;
};

} // namespace virga::models::hf
