#include "models/hf/folder.hpp"
#include "models/hf/json.hpp"
#include "models/hf/new_folder.hpp"
#include "models/hf/parts.hpp"
#include "models/hf/stored.hpp"

#include <algorithm>

namespace virga::models::hf {

namespace {

namespace fs = std::filesystem;

void copy_files(const model_folder& whole, const std::vector<stage>& keep, const fs::path& to) {
  std::vector<std::string> names{"config.json", "generation_config.json"};
  bool speaks = std::any_of(keep.begin(), keep.end(), [](auto& s) { return s.kind != stage_kind::layers; });
  if (speaks)
    names.insert(names.end(), {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"});
  for (auto& name : names)
    if (fs::exists(whole.dir() / name))
      fs::copy_file(whole.dir() / name, to / name);
}

/// @returns their bytes
std::uint64_t write_tensors(const model_folder& whole, const std::vector<stage>& keep, const fs::path& to,
                            const load_progress& progress) {
  std::vector<tensor_view> tensors;
  std::uint64_t bytes = 0;
  for (auto& name : names_in_files(whole.config(), keep)) {
    tensors.push_back(whole.weight(name));
    bytes += tensors.back().data.size();
  }
  write_safetensors(to / "model.safetensors", tensors, progress);
  return bytes;
}

std::map<std::string, stored_entry> stored_of(const model_folder& whole, const std::vector<stage>& keep) {
  std::map<std::string, stored_entry> out;
  if (whole.packed())
    for (auto& name : names_in_files(whole.config(), keep))
      out[name] = whole.stored().at(name);
  return out;
}

} // namespace

std::uint64_t cut_folder(const model_folder& whole, const std::vector<stage>& keep, const fs::path& out,
                         const load_progress& progress) {
  whole.wait_for_check();
  check_order(keep, whole.config().num_hidden_layers, "the stages to keep");
  if (!holds(whole.stages(), keep))
    fail(whole.dir().string(),
         "holds " + describe(whole.stages()) + ", so " + describe(keep) + " cannot be cut from it");
  new_folder part(out);
  copy_files(whole, keep, part.path());
  auto bytes = write_tensors(whole, keep, part.path(), progress);
  write_list(part.path(), whole, keep, stored_of(whole, keep));
  part.finish();
  return bytes;
}

} // namespace virga::models::hf
