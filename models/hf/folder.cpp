#include "models/hf/folder.hpp"

#include "models/hf/config.hpp"
#include "models/hf/json.hpp"
#include "models/hf/new_folder.hpp"
#include "models/hf/parts.hpp"
#include "models/hf/stored.hpp"
#include "models/hf/weight_check.hpp"
#include "models/hf/weight_files.hpp"

#include <set>

namespace virga::models::hf {

namespace {

std::map<std::string, stored_entry> read_stored(const json::value& list, const std::string& where) {
  std::map<std::string, stored_entry> out;
  for (auto& [key, value] : fields(list, where).object()) {
    auto name = std::string(key);
    fields entry(value, where + ": " + in_quotes(name));
    out[name] = {entry.whole_numbers("shape"), entry.text("xxh64")};
  }
  return out;
}

/// Why a tensor that the stages do not need may be there all the same; "" when it may not.
std::string harmless(const std::string& name, const model_config& c) {
  if (c.tie_word_embeddings && name == "lm_head.weight")
    return "tie_word_embeddings is true, so the head is the embedding's matrix";
  if (name.ends_with(".rotary_emb.inv_freq"))
    return "rotary frequencies are computed from config.json";
  return "";
}

} // namespace

model_folder::model_folder(std::filesystem::path dir, const load_progress& progress) : dir_(std::move(dir)) {
  if (!std::filesystem::is_directory(dir_))
    fail(dir_.string(), dir_.extension() == ".gguf" ? "is a GGUF file, which cannot be read; give the Hugging Face folder that it was made from"
                                                    : "is no folder; give a Hugging Face model folder");
  config_ = read_config(dir_);
  generation_ = read_generation(dir_, config_.vocab_size);
  stages_ = whole_model(config_);
  if (packed() || std::filesystem::exists(dir_ / list_name))
    read_list();
  weights_ = std::make_shared<weight_files>(dir_, packed().has_value());
  drop_unused();
  if (!packed()) {
    check_shapes();
    check_hashes(progress);
    return;
  }
  check_packed();
  check_ = std::make_shared<const pending_check>(weights_, stored_, progress);
}

const std::map<std::string, tensor_view>& model_folder::weights() const { return weights_->tensors(); }

void model_folder::drop_unused() {
  for (auto& [name, tensor] : weights())
    if (auto why = harmless(name, config_); !why.empty())
      ignored_[name] = why;
  for (auto& [name, why] : ignored_)
    weights_->drop(name);
}

void model_folder::need_dtype(dtype wanted) const {
  if (!packed() || wanted == *packed())
    return;
  auto own = std::string(to_string(*packed()));
  fail(dir_.string(), "is quantised to " + own + ", so it cannot run in " + std::string(to_string(wanted)) + "; leave the dtype out, say "
                        + own + ", or give the folder that it was made from");
}

void model_folder::need_numbers(const std::string& who) const {
  if (packed())
    fail(dir_.string(), "is quantised to " + std::string(to_string(*packed())) + ", and " + who
                          + " needs the model's own numbers; give the folder that it was made from");
}

/// virga.json: stages, digest and hashes of the model that this folder was made from.
void model_folder::read_list() {
  auto file = dir_ / list_name;
  auto root = parse_strict(read_text(file), file.string());
  fields f(root, file.string());
  f.whole("format", 1, 1);
  f.whole("num_hidden_layers", config_.num_hidden_layers, config_.num_hidden_layers);
  stages_ = parse_stages(f.text("stages"), config_.num_hidden_layers);
  fields tensors(f.at("tensors"), file.string() + ": tensors");
  for (auto& [name, hash] : tensors.object())
    hashes_[name] = tensors.text(std::string_view(name.data(), name.size()));
  digest_ = f.text("model_digest");
  if (auto own = digest_of(hashes_, config_); own != digest_)
    fail(file.string(), "model_digest is " + in_quotes(digest_) + ", but the hash list and config.json give " + own
                          + "; cut or quantise the folder again");
  if (packed())
    stored_ = read_stored(f.at("stored"), file.string() + ": stored");
}

/// Every tensor of the stages is there with its shape, and no other.
void model_folder::check_shapes() const {
  auto needed = tensors_of(config_, stages_);
  for (auto& [name, shape] : needed) {
    auto held = weights().find(name);
    if (held == weights().end())
      fail(weights_->where(name), "the tensor " + in_quotes(name) + " is missing; copy the folder again");
    if (held->second.shape != shape)
      fail(weights_->where(name), "the tensor " + in_quotes(name) + " has the shape " + shape_text(held->second.shape)
                    + ", config.json asks for " + shape_text(shape) + "; the two files do not belong together");
  }
  for (auto& [name, tensor] : weights())
    if (!needed.contains(name))
      fail(weights_->where(name), "the tensor " + in_quotes(name) + " has no place in " + describe(stages_)
                    + " of this config.json; the two files do not belong together");
}

void model_folder::check_packed() {
  std::set<std::string> needed;
  for (auto& t : stored_tensors(config_, stages_)) {
    if (!weights().contains(t.name) || !stored_.contains(t.name))
      fail((weights().contains(t.name) ? dir_ / list_name : std::filesystem::path(weights_->where(t.name))).string(),
           "the tensor " + in_quotes(t.name) + " is missing; copy the folder again");
    check_stored(t, stored_.at(t.name), *packed(), weights_->tensor(t.name), weights_->where(t.name));
    needed.insert(t.name);
  }
  for (auto& [name, tensor] : weights())
    if (!needed.contains(name))
      fail(weights_->where(name), "the tensor " + in_quotes(name) + " has no place in " + describe(stages_)
                    + " of this config.json; the two files do not belong together");
}

/// A whole model makes its digest; a part is checked against the list that it was cut with.
void model_folder::check_hashes(const load_progress& progress) {
  auto found = hash_all(*weights_, hash_finite, progress);
  if (hashes_.empty()) {
    hashes_ = std::move(found);
    digest_ = digest_of(hashes_, config_);
    return;
  }
  for (auto& [name, hash] : found)
    if (auto& said = hashes_[name]; said != hash)
      fail(weights_->where(name), "the tensor " + in_quotes(name) + " has the hash " + hash + ", virga.json says "
                                    + in_quotes(said) + "; cut the folder again");
}

void model_folder::wait_for_check() const {
  if (check_)
    check_->wait();
}

std::shared_ptr<const void> model_folder::keeper() const { return weights_; }

const tensor_view& model_folder::weight(const std::string& name) const {
  if (auto it = weights().find(name); it != weights().end())
    return it->second;
  fail(weights_->where(name), "the tensor " + in_quotes(name) + " is not here; this folder holds "
                                         + describe(stages_));
}

} // namespace virga::models::hf
