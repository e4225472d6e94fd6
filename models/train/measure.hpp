// models/train/measure.hpp: the held-out scores of one model, as its MODEL_CARD and the gates of world.md section 11 need them.
#pragma once

#include "models/train/score.hpp"
#include "models/world/question.hpp"
#include "models/world/statistics.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace virga::models::train {

/// One row of a score table.
struct score_row_text {
  std::string name;       ///< e.g. "describe, held-out requests"
  double value = 0;
  world::interval range;  ///< 95 %
  std::uint64_t asked = 0;
};

struct model_scores {
  world::rate fact_zipf, fact_uniform, friend_of;
  world::rate two_hop_seen, two_hop_held_out;
  world::rate describe, sketch, brief;                          ///< held-out requests
  world::rate expand, expand_brief;                             ///< people never expanded in training
  world::rate expand_counterfactual, expand_brief_counterfactual;
  world::auc first_token;   ///< log-probability of the first answer token against exact, facts by popularity
  world::auc familiarity;   ///< log-probability of the name inside the prompt against exact, same questions
  std::uint64_t facts_asked = 0;
  std::vector<score_row_text> rows() const;
};

/// Asks `questions` of each kind. @param s validation or test
model_scores measure(const world::world& w, const world::vocabulary& words, const scorer& score, world::split s,
                     std::uint64_t seed, std::uint32_t questions);

} // namespace virga::models::train
