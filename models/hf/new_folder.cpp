#include "models/hf/new_folder.hpp"

#include "models/hf/json.hpp"

#include <fstream>

#include <stdlib.h>

namespace virga::models::hf {

namespace fs = std::filesystem;

new_folder::new_folder(const fs::path& out) : out_(out.has_filename() ? out : out.parent_path()) {
  if (fs::exists(fs::symlink_status(out_)))
    fail(out_.string(), "exists already; nothing is overwritten, so name another folder or remove it");
  auto pattern = (fs::absolute(out_).parent_path() / ".virga-new-XXXXXX").string();
  if (!::mkdtemp(pattern.data()))
    fail(out_.string(), "the folder around it does not exist or cannot be written");
  part_ = pattern;
  fs::permissions(part_, fs::perms(0755));
}

new_folder::~new_folder() {
  std::error_code ignored;
  if (!part_.empty())
    fs::remove_all(part_, ignored);
}

void new_folder::finish() {
  fs::rename(part_, out_);
  part_.clear();
}

void write_text(const fs::path& file, const std::string& text) {
  std::ofstream out(file);
  out << text;
  out.close();
  if (!out)
    throw std::runtime_error(file.string() + ": cannot be written; is the disk full?");
}

void write_list(const fs::path& dir, const model_folder& whole, const std::vector<stage>& stages,
                const std::map<std::string, stored_entry>& stored) {
  json::object tensors, own;
  for (auto& [name, hash] : whole.hashes())
    tensors[name] = hash;
  for (auto& [name, entry] : stored)
    own[name] = json::object{{"shape", json::array(entry.shape.begin(), entry.shape.end())}, {"xxh64", entry.hash}};
  json::object root{{"format", 1},
                    {"model_digest", whole.digest()},
                    {"stages", describe(stages)},
                    {"num_hidden_layers", whole.config().num_hidden_layers},
                    {"tensors", std::move(tensors)}};
  if (!stored.empty())
    root["stored"] = std::move(own);
  write_text(dir / list_name, json::serialize(root) + "\n");
}

} // namespace virga::models::hf
