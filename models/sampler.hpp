// models/sampler.hpp: one row of logits to one token. argmax(log p + Gumbel(seed, token, position)), so that every
// strategy and every resumed session draws the same token at the same place (design.md section 6).
#pragma once

#include "models/shard.hpp"

#include <span>

namespace virga::models {

/// Standard Gumbel noise of one (seed, token, position): counter-based, no state.
double gumbel(std::uint64_t seed, token_id token, std::uint64_t position) noexcept;

/// Chooses from one row. @param logits [vocab] @param position absolute position that the chosen token will have
/// Ties go to the lowest id. A row with NaN throws bad_segment.
choice choose_token(std::span<const double> logits, const sampling& how, std::uint64_t position, std::uint32_t top_n);
choice choose_token(std::span<const float> logits, const sampling& how, std::uint64_t position, std::uint32_t top_n);

} // namespace virga::models
