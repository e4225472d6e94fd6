// models/train/fused.hpp: the few loops of the trainer that would be many small tensor operations. Plain C++, no torch.
// All arrays are dense, row-major f32. Threads: none.
#pragma once

#include "models/train/attention.hpp"
#include "models/train/net.hpp"

#include <cstdint>

namespace virga::models::train::fused {

/// y = x / rms(x) * weight per row of [n, width]; inverse[n] keeps 1 / rms for the way back. (Zhang, Sennrich 2019)
void rms_norm(const float* x, const float* weight, double eps, std::int64_t n, std::int64_t width, float* y,
              float* inverse);

/// dx is written, dweight [width] is added to.
void rms_norm_backward(const float* x, const float* weight, const float* inverse, const float* dy, std::int64_t n,
                       std::int64_t width, float* dx, float* dweight);

/// cos, sin [places, half] of position * theta^(-i / half). (Su et al. 2021)
void rotary_angles(std::span<const std::uint32_t> positions, double theta, std::int64_t half, float* cos, float* sin);

/// Turns q and k of qkv [places, heads + 2 kv_heads, dim] in place, in rotate-half form: pairs (i, i + dim/2).
/// @param direction 1, or -1 to turn back
void rotate(float* qkv, const float* cos, const float* sin, float direction, const attention_shape& s);

/// In: probabilities [places, vocab]. Out, in place: gradient of the weighted mean cross-entropy by the logits.
step_loss cross_entropy_gradient(const packed_batch& batch, float* probabilities, std::int64_t vocab);

} // namespace virga::models::train::fused
