// models/sampler.hpp: one row of logits to one token. argmax(log p + Gumbel(seed, token, position)), so that every
// strategy and every resumed session draws the same token at the same place (design.md section 6).
#pragma once

#include "models/shard.hpp"

#include <algorithm>
#include <span>
#include <string>

namespace virga::models {

/// Standard Gumbel noise of one (seed, token, position): counter-based, no state.
double gumbel(std::uint64_t seed, token_id token, std::uint64_t position) noexcept;

/// The tokens before the one to choose, for penalties: all of them, the first `prompt` being the prompt.
struct seen_tokens {
  std::span<const token_id> all;
  std::size_t prompt = 0;
};

/// Chooses from one row. @param logits [vocab] @param position absolute position that the chosen token will have
/// @param before needed where `how` looks back @param alternatives runners-up to name
/// Ties go to the lowest id, in filters as well. A row with NaN, or `how` outside its ranges, throws bad_segment.
choice choose_token(std::span<const double> logits, const sampling& how, std::uint64_t position, std::uint32_t top_n,
                    const seen_tokens& before = {}, std::uint32_t alternatives = 0);
choice choose_token(std::span<const float> logits, const sampling& how, std::uint64_t position, std::uint32_t top_n,
                    const seen_tokens& before = {}, std::uint32_t alternatives = 0);

/// What the choice for `position` may look at.
inline seen_tokens seen_before(const wants& w, std::uint64_t position) {
  auto count = std::min<std::size_t>(w.context.size(), position);
  return {std::span(w.context).first(count), std::min<std::size_t>(w.prompt_tokens, count)};
}

/// Says what is wrong with `how`: the field, its value and its range; "" when nothing. @param vocab bounds the biased ids
std::string complaint(const sampling& how, std::uint32_t vocab);

} // namespace virga::models
