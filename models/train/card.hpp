// models/train/card.hpp: MODEL_CARD.md of a trained model: how it was made and what it scores. Measured figures only.
#pragma once

#include "models/train/measure.hpp"
#include "models/train/trainer.hpp"

#include <string>

namespace virga::models::train {

struct card_facts {
  std::string command;  ///< that repeats the run
  std::string machine;  ///< CPU, as the system names it
  world::split split = world::split::test;
  std::uint64_t question_seed = 0;
};

/// Markdown. @param p of the finished run
std::string model_card(const recipe& r, const progress& p, const model_scores& scores, const card_facts& facts);

/// The rows as a Markdown table.
std::string score_table(const std::vector<score_row_text>& rows);

/// The CPU's name from /proc/cpuinfo, or "unknown CPU".
std::string machine_name();

} // namespace virga::models::train
