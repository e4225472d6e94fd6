#include "models/hf/folder.hpp"

#include "models/hf/config.hpp"
#include "models/hf/json.hpp"
#include "models/hf/parts.hpp"
#include "models/hf/weight_files.hpp"

namespace virga::models::hf {

namespace {

constexpr auto cut_name = "virga.json";

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string out = "[";
  for (auto n : shape)
    out.append(out.size() > 1 ? ", " : "").append(std::to_string(n));
  return out.append("]");
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
  if (std::filesystem::exists(dir_ / cut_name))
    read_cut_list();
  weights_ = std::make_shared<weight_files>(dir_);
  drop_unused();
  check_shapes();
  check_hashes(progress);
}

const std::map<std::string, tensor_view>& model_folder::weights() const { return weights_->tensors(); }

void model_folder::drop_unused() {
  for (auto& [name, tensor] : weights())
    if (auto why = harmless(name, config_); !why.empty())
      ignored_[name] = why;
  for (auto& [name, why] : ignored_)
    weights_->drop(name);
}

/// virga.json: stages, digest and hashes of the model that this folder was cut from.
void model_folder::read_cut_list() {
  auto file = dir_ / cut_name;
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
                          + "; cut the folder again");
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

/// A whole model makes its digest; a part is checked against the list that it was cut with.
void model_folder::check_hashes(const load_progress& progress) {
  bool whole = hashes_.empty();
  std::uint64_t done = 0, total = 0;
  for (auto& [name, tensor] : weights())
    total += tensor.data.size();
  for (auto& [name, tensor] : weights()) {
    auto hash = hash_finite(tensor, weights_->where(name), [&](std::uint64_t bytes) {
      done += bytes;
      if (progress)
        progress("checking weights", done, total);
    });
    if (whole)
      hashes_[name] = hash;
    else if (hashes_[name] != hash)
      fail(weights_->where(name), "the tensor " + in_quotes(name) + " has the hash " + hash
                                             + ", virga.json says "
                                             + in_quotes(hashes_[name]) + "; cut the folder again");
  }
  if (whole)
    digest_ = digest_of(hashes_, config_);
}

const tensor_view& model_folder::weight(const std::string& name) const {
  if (auto it = weights().find(name); it != weights().end())
    return it->second;
  fail(weights_->where(name), "the tensor " + in_quotes(name) + " is not here; this folder holds "
                                         + describe(stages_));
}

} // namespace virga::models::hf
