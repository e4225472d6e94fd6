// models/train/score.hpp: what a model thinks of every token of a given sequence. One pass per example is enough to know
// whether greedy decoding gives the reference: it does exactly when each answer token is the best one after those before.
#pragma once

#include "models/shard.hpp"
#include "models/train/packing.hpp"

#include <functional>
#include <span>
#include <vector>

namespace virga::models::train {

/// The model's view of the token at one place, given all before it.
struct token_score {
  bool best = false;           ///< it is the most likely one; ties go to the lowest id
  double logprob = 0;          ///< of it, natural logarithm
  double best_logprob = 0;     ///< of the most likely one
};

/// One score per token of each example; the first token (<bos>) has none and is left as constructed.
using scored_example = std::vector<token_score>;
using scorer = std::function<std::vector<scored_example>(std::span<const example>)>;

/// Scores with a whole model's shard (embedding to head). The shard must outlive the scorer.
scorer score_with(shard& model);

/// The greedy answer is the reference.
bool exact(const example& e, const scored_example& s);

/// The score of `target` in one row of logits.
token_score score_row(std::span<const float> logits, token_id target);

} // namespace virga::models::train
