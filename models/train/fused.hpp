// models/train/fused.hpp: the few loops of the trainer that would be many small tensor operations. Plain C++, no torch.
// All arrays are dense, row-major f32. Threads: none.
#pragma once

#include "models/train/net.hpp"

#include <cstdint>

namespace virga::models::train::fused {

/// y = x / rms(x) * weight per row of [n, width]; inverse[n] keeps 1 / rms for the way back. (Zhang, Sennrich 2019)
void rms_norm(const float* x, const float* weight, double eps, std::int64_t n, std::int64_t width, float* y,
              float* inverse);

/// dx is written, dweight [width] is added to.
void rms_norm_backward(const float* x, const float* weight, const float* inverse, const float* dy, std::int64_t n,
                       std::int64_t width, float* dx, float* dweight);

/// Rotary positions in rotate-half form: pairs (i, i + dim/2) of [n, heads, dim]; cos, sin are [n, dim/2]. (Su et al. 2021)
void rotate(const float* x, const float* cos, const float* sin, std::int64_t n, std::int64_t heads, std::int64_t dim,
            float* y);

/// mask [rows, width, width]: 0 where a place may look (same example, not later), minus infinity elsewhere.
void block_causal_mask(const std::uint32_t* segments, std::int64_t rows, std::int64_t width, float* mask);

/// In: probabilities [places, vocab]. Out, in place: gradient of the weighted mean cross-entropy by the logits.
step_loss cross_entropy_gradient(const packed_batch& batch, float* probabilities, std::int64_t vocab);

} // namespace virga::models::train::fused
