// models/train/net.hpp: the decoder that is trained: Llama's shape (RMSNorm, rotary positions in rotate-half form, SwiGLU,
// no biases, tied embedding), so that its weights are an ordinary Hugging Face LlamaForCausalLM.
// Weights and gradients are each one flat f32 array, so optimiser, checkpoint and export are plain loops.
#pragma once

#include "models/train/packing.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace virga::models::train {

struct net_shape {
  std::uint32_t layers = 0, hidden = 0, intermediate = 0, heads = 0, kv_heads = 0, head_dim = 0;
  std::uint32_t vocab = 0;
  std::uint32_t max_positions = 512;
  double norm_eps = 1e-5, rope_theta = 10000;
  bool operator==(const net_shape&) const = default;
};

/// Arithmetic of the matrix products. Weights, sums over the loss and the optimiser are f32 either way.
enum class product_type : std::uint8_t { f32, bf16 };

/// True when this CPU multiplies bf16 in hardware; without it bf16 is slower than f32.
bool has_fast_bf16();

/// One tensor of the Hugging Face layout inside the flat array, row-major.
struct parameter {
  std::string name;
  std::vector<std::uint64_t> shape;
  std::size_t offset = 0;
  std::size_t size() const;
};

/// Summed over the batch, natural logarithm.
struct step_loss {
  double answer = 0;  ///< mean over answer tokens
  double prompt = 0;  ///< mean over prompt tokens
};

class net {
public:
  /// Fresh weights from the seed: normal, deviation 0.5 / sqrt(inputs); the two outputs of a layer less by sqrt(2 layers).
  net(const net_shape& shape, std::uint64_t seed, product_type products);
  ~net();
  net(const net&) = delete;
  net& operator=(const net&) = delete;

  const net_shape& shape() const;
  const std::vector<parameter>& parameters() const;
  std::span<float> weights();
  std::span<const float> gradients() const;

  /// Loss of the batch, and its gradient by every weight into gradients() (earlier ones are overwritten).
  step_loss forward_backward(const packed_batch& batch);

  /// [rows * width, vocab] logits, row-major. No gradient.
  std::vector<float> logits(const packed_batch& batch);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace virga::models::train
