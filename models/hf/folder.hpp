// models/hf/folder.hpp: a Hugging Face model folder: config.json, model.safetensors, tokenizer.json,
// generation_config.json; and virga.json in the folders that `virga cut` makes.
#pragma once

#include "models/hf/safetensors.hpp"
#include "models/shard.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace virga::models::hf {

/// A decoder's shape. Names are those of config.json.
struct model_config {
  std::string model_type;  ///< "llama"
  std::uint32_t hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
  std::uint32_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
  std::uint32_t vocab_size = 0, max_position_embeddings = 0;
  double rms_norm_eps = 1e-6, rope_theta = 10000;
  bool tie_word_embeddings = false;
};

/// What generation_config.json says, with config.json's eos as fallback.
struct generation_defaults {
  std::vector<token_id> eos;
  std::optional<token_id> bos;
  bool do_sample = false;
  double temperature = 1;
};

/// A folder, validated: shapes of the tensors against the config, every tensor that the stages need, no other.
class model_folder {
public:
  /// @throws bad_model: one sentence with file, place, both values and the cure
  explicit model_folder(std::filesystem::path dir);

  const std::filesystem::path& dir() const { return dir_; }
  const model_config& config() const { return config_; }
  const generation_defaults& generation() const { return generation_; }

  /// The stages whose weights the folder holds: all of a whole model, or what virga.json says of a cut one.
  const std::vector<stage>& stages() const { return stages_; }

  /// Root over the per-tensor SHA-256 of the whole model and over the config's numbers, 64 hexadecimal digits. A cut
  /// folder proves with the hash list in its virga.json that its own tensors belong to it.
  const std::string& digest() const { return digest_; }

  /// Tensor name to SHA-256 (over dtype, shape and bytes) of the whole model, also when only a part is held.
  const std::map<std::string, std::string>& hashes() const { return hashes_; }

  /// By Hugging Face name, e.g. "model.layers.0.self_attn.q_proj.weight". @throws bad_model when missing
  const tensor_view& weight(const std::string& name) const;

  /// All tensors held, by name.
  const std::map<std::string, tensor_view>& weights() const { return weights_->tensors(); }

  /// chat_template.jinja, else the chat template of tokenizer_config.json, when there is one.
  const std::optional<std::string>& chat_template() const { return chat_template_; }

private:
  void read_cut_list();
  void check_shapes() const;
  void check_hashes();

  std::filesystem::path dir_;
  model_config config_;
  generation_defaults generation_;
  std::vector<stage> stages_;
  std::string digest_;
  std::map<std::string, std::string> hashes_;
  std::optional<std::string> chat_template_;
  std::shared_ptr<const safetensors_file> weights_;
};

/// Writes the folder of a node that runs only `keep` (in order): its tensors, config, virga.json with the hash list;
/// tokenizer files only beside an embedding or a head. Overwrites nothing: an existing `out` is bad_model.
void cut_folder(const model_folder& whole, const std::vector<stage>& keep, const std::filesystem::path& out);

/// "embedding,0-1,head" (layers inclusive) -> stages, checked against the model's layer count. @throws bad_model
std::vector<stage> parse_stages(const std::string& text, std::uint32_t model_layers);

} // namespace virga::models::hf
