#include "models/hf/weight_files.hpp"

#include "models/defaults.hpp"
#include "models/hf/json.hpp"

#include <set>

namespace virga::models::hf {

namespace {

namespace fs = std::filesystem;

constexpr auto one_name = "model.safetensors";
constexpr auto index_name = "model.safetensors.index.json";

/// What is there in place of weights that can be read.
void complain_of_missing(const fs::path& dir) {
  auto file = (dir / one_name).string();
  for (auto other : {"pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.safetensors"})
    if (fs::exists(dir / other))
      fail(dir.string(), std::string("holds ") + other + " but neither " + one_name + " nor " + index_name
                           + "; load it with transformers and save_pretrained() it");
  fail(file, std::string("cannot be opened (No such file or directory), and there is no ") + index_name
               + "; copy the folder again");
}

/// weight_map: tensor name to file name.
std::map<std::string, std::string> read_weight_map(const fs::path& index) {
  auto root = parse_strict(read_text(index), index.string());
  fields map(fields(root, index.string()).at("weight_map"), index.string() + ": weight_map");
  std::map<std::string, std::string> out;
  for (auto& [key, value] : map.object()) {
    auto tensor = std::string(key);
    auto file = map.text(tensor);
    bool leads_away = file.find('/') != std::string::npos || file.find('\0') != std::string::npos;
    if (file.empty() || file == "." || file == ".." || leads_away)
      fail(map.where(), "the tensor " + in_quotes(tensor) + " is said to be in " + in_quotes(file)
                          + ", which is no plain file name of this folder");
    out.emplace(std::move(tensor), std::move(file));
  }
  if (out.empty())
    fail(map.where(), "it names no tensor");
  return out;
}

} // namespace

weight_files::weight_files(const fs::path& dir, bool packed) : packed_(packed) {
  if (fs::exists(dir / one_name))
    open_one(dir / one_name);
  else if (fs::exists(dir / index_name))
    open_index(dir, dir / index_name);
  else
    complain_of_missing(dir);
}

void weight_files::open_one(const fs::path& file) {
  list_ = file.string();
  files_.emplace_back(file, packed_);
  tensors_ = files_.back().tensors();
}

void weight_files::open_index(const fs::path& dir, const fs::path& index) {
  list_ = index.string();
  auto map = read_weight_map(index);
  std::set<std::string> names;
  for (auto& [tensor, file] : map)
    names.insert(file);
  if (names.size() > defaults::weight_files)
    fail(list_, "it names " + std::to_string(names.size()) + " files; at most " + std::to_string(defaults::weight_files)
                  + " are opened");
  for (auto& name : names)
    if (!fs::exists(dir / name))
      fail(list_, "it names " + in_quotes(name) + ", which is not in the folder; copy the folder again");
  for (auto& name : names) {
    auto file = dir / name;
    files_.emplace_back(file, packed_);
    for (auto& [tensor, view] : files_.back().tensors()) {
      auto said = map.find(tensor);
      if (said == map.end() || said->second != name)
        fail(list_, "the tensor " + in_quotes(tensor) + " stands in " + in_quotes(name) + ", but the index "
                      + (said == map.end() ? "does not name it" : "says " + in_quotes(said->second)));
      tensors_.emplace(tensor, view);
      file_of_.emplace(tensor, file.string());
    }
  }
  for (auto& [tensor, file] : map)
    if (!tensors_.contains(tensor))
      fail((dir / file).string(),
           "the tensor " + in_quotes(tensor) + " is missing, though " + index_name + " says it is here");
}

const std::string& weight_files::where(const std::string& tensor) const {
  auto it = file_of_.find(tensor);
  return it == file_of_.end() ? list_ : it->second;
}

void weight_files::read_ahead(const std::stop_token& stop) const {
  for (auto& f : files_)
    f.read_ahead(stop);
}

void weight_files::drop(const std::string& tensor) { tensors_.erase(tensor); }

} // namespace virga::models::hf
