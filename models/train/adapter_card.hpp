// models/train/adapter_card.hpp: what an adapter scores, and the MODEL_CARD.md that says so. Measured figures only.
#pragma once

#include "models/train/acceptance.hpp"
#include "models/train/adapter_trainer.hpp"
#include "models/train/card.hpp"

#include <optional>
#include <string>
#include <vector>

namespace virga::models::train {

struct adapter_scores {
  std::optional<world::rate> agreement;  ///< with the model's own choices, teacher-forced, on held-out examples
  std::optional<acceptance> drafts;      ///< where there are requests to draft
  std::string drafted_on;                ///< which requests those were
  std::vector<score_row_text> rows() const;
};

/// Markdown. @param t of the finished run
std::string adapter_card(adapter_trainer& t, const adapter_data& data, const adapter_scores& scores,
                         const card_facts& facts);

} // namespace virga::models::train
