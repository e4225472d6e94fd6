// models/train/attention.hpp: causal attention inside each example of a packed batch, forward and backward. Rows hold
// several short examples, so looking only inside an example does a quarter of the work of a masked full row.
// Plain C++, no torch, f32. Compiled for several instruction sets; the best one is chosen when the program starts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace virga::models::train::fused {

/// Places [first, first + count) of the flattened batch are one example.
struct stretch {
  std::int64_t first = 0, count = 0;
};

/// The examples of a batch. @param segments example number per place, 0 for padding
std::vector<stretch> find_stretches(std::span<const std::uint32_t> segments);

struct attention_shape {
  std::int64_t places = 0, heads = 0, kv_heads = 0, dim = 0;
  std::int64_t row() const { return (heads + 2 * kv_heads) * dim; }
};

/// Probabilities that forward keeps for backward: so many floats.
std::int64_t attention_memory(const attention_shape& s, std::span<const stretch> examples);

/// qkv [places, heads + 2 kv_heads, dim], q and k already rotated -> out [places, heads, dim]. Padding gives zeros.
void attention(const attention_shape& s, std::span<const stretch> examples, const float* qkv, float* out, float* memory);

/// dqkv is written, in the layout of qkv, for the rotated q and k.
void attention_backward(const attention_shape& s, std::span<const stretch> examples, const float* qkv,
                        const float* memory, const float* dout, float* dqkv);

} // namespace virga::models::train::fused
