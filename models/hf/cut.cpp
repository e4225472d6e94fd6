#include "models/hf/folder.hpp"
#include "models/hf/json.hpp"
#include "models/hf/parts.hpp"

#include <algorithm>
#include <fstream>

#include <stdlib.h>

namespace virga::models::hf {

namespace {

namespace fs = std::filesystem;

/// A folder beside `out` that takes its name when complete and vanishes when not.
class new_folder {
public:
  explicit new_folder(fs::path out) : out_(std::move(out)) {
    if (fs::exists(fs::symlink_status(out_)))
      fail(out_.string(), "exists already; nothing is overwritten, so name another folder or remove it");
    auto pattern = (fs::absolute(out_).parent_path() / ".virga-cut-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
      fail(out_.string(), "the folder around it does not exist or cannot be written");
    part_ = pattern;
    fs::permissions(part_, fs::perms(0755));
  }
  ~new_folder() {
    std::error_code ignored;
    if (!part_.empty())
      fs::remove_all(part_, ignored);
  }
  new_folder(const new_folder&) = delete;
  new_folder& operator=(const new_folder&) = delete;

  const fs::path& path() const { return part_; }
  void finish() {
    fs::rename(part_, out_);
    part_.clear();
  }

private:
  fs::path out_, part_;
};

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
  for (auto& [name, shape] : tensors_of(whole.config(), keep)) {
    tensors.push_back(whole.weight(name));
    bytes += tensors.back().data.size();
  }
  write_safetensors(to / "model.safetensors", tensors, progress);
  return bytes;
}

void write_cut_list(const model_folder& whole, const std::vector<stage>& keep, const fs::path& to) {
  json::object tensors;
  for (auto& [name, hash] : whole.hashes())
    tensors[name] = hash;
  json::object root{{"format", 1},
                    {"model_digest", whole.digest()},
                    {"stages", describe(keep)},
                    {"num_hidden_layers", whole.config().num_hidden_layers},
                    {"tensors", std::move(tensors)}};
  std::ofstream out(to / "virga.json");
  out << json::serialize(root) << '\n';
  out.close();
  if (!out)
    throw std::runtime_error((to / "virga.json").string() + ": cannot be written; is the disk full?");
}

} // namespace

std::uint64_t cut_folder(const model_folder& whole, const std::vector<stage>& keep, const fs::path& out,
                         const load_progress& progress) {
  check_order(keep, whole.config().num_hidden_layers, "the stages to keep");
  if (!holds(whole.stages(), keep))
    fail(whole.dir().string(),
         "holds " + describe(whole.stages()) + ", so " + describe(keep) + " cannot be cut from it");
  new_folder part(out.has_filename() ? out : out.parent_path());
  copy_files(whole, keep, part.path());
  auto bytes = write_tensors(whole, keep, part.path(), progress);
  write_cut_list(whole, keep, part.path());
  part.finish();
  return bytes;
}

} // namespace virga::models::hf
