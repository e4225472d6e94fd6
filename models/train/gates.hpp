// models/train/gates.hpp: do the trained models leave collaboration something to do? The single-model gates of the
// world's acceptance list: the world is fit for experiments only when all hold. A failing gate asks for another world or
// model size, never for another evaluation.
#pragma once

#include "models/train/measure.hpp"

#include <string>
#include <vector>

namespace virga::models::train {

struct gate {
  std::string name;
  double value = 0;
  world::interval range;  ///< 95 % of the value
  std::uint64_t asked = 0;
  double at_least = 0, at_most = 1;
  bool holds() const noexcept { return value >= at_least && value <= at_most; }
};

/// The middle model must stand between the other two.
std::vector<gate> judge(const model_scores& cloud, const model_scores& edge_m, const model_scores& edge_s);

/// A table for people, one gate per line.
std::string to_table(const std::vector<gate>& gates);

/// {"gates": [{"gate", "value", "low", "high", "n", "at_least", "at_most", "holds"}], "all_hold"}
std::string to_json(const std::vector<gate>& gates);

/// Rows of scores as a table for people, and as {"scores": [{"name", "value", "low", "high", "n"}]}.
std::string to_table(const std::vector<score_row_text>& rows);
std::string to_json(const std::vector<score_row_text>& rows);

} // namespace virga::models::train
