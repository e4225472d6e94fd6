// models/hf/adapter.hpp: the adapter of HAT: with a model's embedding, first `split` layers and head it makes a model
// that a device can draft with. It was trained for one model and one split, and says which.
//   z = RMSNorm(x + attention(RMSNorm(x)))     x: rows behind the first `split` layers; z goes to the head's matrix
// No MLP, no biases, no window; heads, head size and rotary positions as in the model.
// Source: HAT (arXiv 2503.18989), adapter network; its shape as in Kangaroo (arXiv 2404.18911), whose sizes HAT's are.
//   DIR/adapter_config.json        {"format": 1, "model_digest": ..., "split": ..., "num_hidden_layers": ...}
//   DIR/adapter_model.safetensors  the six tensors of adapter_tensors()
#pragma once

#include "models/hf/folder.hpp"

namespace virga::models::hf {

struct adapter_config {
  std::string model_digest;  ///< of the model it was trained for
  std::uint32_t split = 0;   ///< decoder layers below it, at least 1 and fewer than the model has
};

/// Names and shapes for a model of this shape: input_layernorm, self_attn.q_proj, k_proj, v_proj, o_proj and norm, each
/// with ".weight".
std::map<std::string, std::vector<std::uint64_t>> adapter_tensors(const model_config& c);

/// An adapter's folder, mapped. Shapes are checked when it meets its model.
class adapter_folder {
public:
  /// @throws bad_model: one sentence with file, place, both values and the cure
  explicit adapter_folder(std::filesystem::path dir);

  const std::filesystem::path& dir() const { return dir_; }
  std::uint32_t split() const { return config_.split; }

  /// @throws bad_model when it was trained for another model than `base`, or a tensor is missing, has another shape,
  /// has no place or is not finite
  void check(const model_folder& base) const;

  /// @throws bad_model when missing
  const tensor_view& weight(const std::string& name) const;

private:
  std::filesystem::path dir_;
  adapter_config config_;
  safetensors_file weights_;
};

/// Writes both files into `dir`, which is made when missing. @param tensors of adapter_tensors(), in f32
/// @throws std::runtime_error when the disk refuses
void write_adapter(const std::filesystem::path& dir, const adapter_config& config, std::uint32_t model_layers,
                   std::span<const tensor_view> tensors);

} // namespace virga::models::hf
