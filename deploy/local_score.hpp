// deploy/local_score.hpp: a text under a model, token by token: what `virga score` prints.
#pragma once

#include "models/shard.hpp"

#include <vector>

namespace virga::deploy {

struct scored_position {
  token_id id = 0;
  bool scored = false;  ///< false for the first token, which nothing predicts
  double logprob = 0;   ///< of `id` given all tokens before it, natural logarithm
  token_id best = 0;    ///< the likeliest token there
  std::vector<scored_token> top;  ///< best first
};

struct text_scores {
  std::vector<scored_position> tokens;
  std::size_t scored() const { return tokens.empty() ? 0 : tokens.size() - 1; }
  /// exp(-mean logprob); 1 when nothing is scored.
  double perplexity() const;
};

/// @param shard of a whole model, with room for all ids @throws what shard::step throws
text_scores score(models::shard& shard, const std::vector<token_id>& ids, std::uint32_t top_k);

/// The same text under two shards.
struct score_difference {
  std::size_t compared = 0, flips = 0;  ///< positions; those whose best token differs
  double perplexity = 1;                ///< of the other
  double perplexity_change = 0;         ///< ours less the other's
  double agreement() const { return compared == 0 ? 1 : 1 - static_cast<double>(flips) / static_cast<double>(compared); }
};
score_difference compare(const text_scores& ours, const text_scores& other);

} // namespace virga::deploy
