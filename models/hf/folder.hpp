// models/hf/folder.hpp: a Hugging Face model folder: config.json, model.safetensors, tokenizer.json,
// generation_config.json; and virga.json in the folders that `virga cut` and `virga quantize` make.
#pragma once

#include "models/hf/safetensors.hpp"
#include "models/progress.hpp"
#include "models/shard.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace virga::models::hf {

/// How rotary angles are stretched for long contexts. Names are those of config.json; see rotary.hpp for the arithmetic.
struct rope_scaling {
  enum class kind : std::uint8_t { none, linear, llama3, yarn };
  kind type = kind::none;
  double factor = 1;
  double low_freq_factor = 1, high_freq_factor = 4;  ///< llama3
  double original_max_position_embeddings = 0;       ///< llama3, yarn
  double beta_fast = 32, beta_slow = 1;              ///< yarn
  double attention_factor = 1;                       ///< yarn: cos and sin are multiplied by it
  bool truncate = true;                              ///< yarn
};

/// A decoder's shape. Names are those of config.json.
struct model_config {
  std::string model_type;  ///< "llama", "mistral", "qwen2" or "qwen3"
  std::uint32_t hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
  std::uint32_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
  std::uint32_t vocab_size = 0, max_position_embeddings = 0;
  double rms_norm_eps = 1e-6, rope_theta = 10000;
  rope_scaling rope;
  bool tie_word_embeddings = false;
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  bool qk_norm = false;                ///< RMSNorm of each head of q and k before they turn
  std::optional<dtype> packed;         ///< of a quantised folder: how its matrices lie in the file. Not hashed
  std::vector<std::uint32_t> windows;  ///< by layer: a query sees so many last keys, itself included; 0: all

  std::uint32_t window(std::uint32_t layer) const { return layer < windows.size() ? windows[layer] : 0; }
};

/// What generation_config.json says, with config.json's eos as fallback.
struct generation_defaults {
  std::vector<token_id> eos;
  std::optional<token_id> bos;
  bool do_sample = false;
  double temperature = 1;
};

/// What virga.json says of one tensor of a quantised folder.
struct stored_entry {
  std::vector<std::uint64_t> shape;  ///< [outputs, inputs] of a packed matrix, [n] of a vector
  std::string hash;                  ///< XXH64 over dtype, shape and the bytes in the file
};

class weight_files;
class pending_check;

/// A folder, validated: shapes of the tensors against the config, every tensor that the stages need, no other, every
/// number finite. Of a quantised folder the bytes are checked in the background.
class model_folder {
public:
  /// Maps the weights and reads each byte once. @param progress told meanwhile; may be empty. Of a quantised folder it is
  /// told in the background, until wait_for_check() returns or the folder goes
  /// @throws bad_model: one sentence with file, place, both values and the cure
  explicit model_folder(std::filesystem::path dir, const load_progress& progress = {});

  const std::filesystem::path& dir() const { return dir_; }
  const model_config& config() const { return config_; }
  const generation_defaults& generation() const { return generation_; }

  /// dtype of a quantised folder: the only one that it runs in. Nothing: matrices are numbers, packed while they are
  /// loaded.
  const std::optional<dtype>& packed() const { return config_.packed; }

  /// @throws bad_model when the folder is quantised, to another dtype than `wanted`
  void need_dtype(dtype wanted) const;
  /// @param who needs the model's own numbers @throws bad_model when the folder is quantised
  void need_numbers(const std::string& who) const;

  /// The stages whose weights the folder holds: all of a whole model, or what virga.json says of a cut one.
  const std::vector<stage>& stages() const { return stages_; }

  /// Root over the per-tensor SHA-256 of the whole model and over the config's numbers, 64 hexadecimal digits. A cut
  /// folder proves with the hash list in its virga.json that its own tensors belong to it; a quantised folder has the
  /// digest of the model that it was made from, and hashes of its own tensors.
  const std::string& digest() const { return digest_; }

  /// Tensor name to SHA-256 (over dtype, shape and bytes) of the whole model, also when only a part is held.
  const std::map<std::string, std::string>& hashes() const { return hashes_; }

  /// Of a quantised folder, by the names in its files; else empty.
  const std::map<std::string, stored_entry>& stored() const { return stored_; }

  /// By the name in the files: Hugging Face's, e.g. "model.layers.0.self_attn.q_proj.weight", or of a quantised folder
  /// stored_name(). @throws bad_model when missing
  const tensor_view& weight(const std::string& name) const;

  /// All tensors held, by name.
  const std::map<std::string, tensor_view>& weights() const;

  /// Of a quantised folder: until its bytes are checked. Shards wait before they answer.
  /// @throws bad_model when they are damaged
  void wait_for_check() const;
  /// nullptr for other folders.
  const std::shared_ptr<const pending_check>& pending() const { return check_; }

  /// Keeps the bytes of weights() where they are, also when the folder is gone.
  std::shared_ptr<const void> keeper() const;

  /// Tensors in the files that this architecture does not use, and why: a tied model's own head, old rotary tables.
  const std::map<std::string, std::string>& ignored() const { return ignored_; }

private:
  void read_list();
  void drop_unused();
  void check_shapes() const;
  void check_packed();
  void check_hashes(const load_progress& progress);

  std::filesystem::path dir_;
  model_config config_;
  generation_defaults generation_;
  std::vector<stage> stages_;
  std::string digest_;
  std::map<std::string, std::string> hashes_;
  std::map<std::string, stored_entry> stored_;
  std::map<std::string, std::string> ignored_;
  std::shared_ptr<weight_files> weights_;
  std::shared_ptr<const pending_check> check_;
};

/// Writes the folder of a node that runs only `keep` (in order): its tensors, config, virga.json with the hash list;
/// tokenizer files only beside an embedding or a head. Overwrites nothing: an existing `out` is bad_model.
/// @param progress told while weights are written; may be empty @returns bytes of the weights written
std::uint64_t cut_folder(const model_folder& whole, const std::vector<stage>& keep, const std::filesystem::path& out,
                         const load_progress& progress = {});

/// "embedding,0-1,head" (layers inclusive) -> stages, checked against the model's layer count. @throws bad_model
std::vector<stage> parse_stages(const std::string& text, std::uint32_t model_layers);

} // namespace virga::models::hf
