// models/world/statistics.hpp: rates and rankings with their 95 % intervals.
#pragma once

#include <cstdint>
#include <span>

namespace virga::models::world {

struct interval {
  double low = 0, high = 1;
};

/// `right` of `asked` answers.
struct rate {
  std::uint64_t right = 0, asked = 0;
  double value() const noexcept { return asked == 0 ? 0 : static_cast<double>(right) / static_cast<double>(asked); }
};

/// Wilson's score interval, 95 %. Nothing asked: [0, 1].
interval wilson(const rate& r) noexcept;

/// One answer with the signal that should tell right from wrong.
struct signal {
  double value = 0;
  bool right = false;
};

struct auc {
  double value = 0.5;  ///< chance that a right answer's signal is above a wrong one's, ties half
  interval range;      ///< 95 %, Hanley and McNeil 1982
};

/// All right or all wrong: value 0.5 and range [0, 1], since nothing can be said.
auc area_under_curve(std::span<const signal> answers);

/// Two systems on the same questions (McNemar's exact test). @returns the two-sided probability of a split at least
/// this uneven by chance. @param only_first questions that only the first had right
double mcnemar(std::uint64_t only_first, std::uint64_t only_second) noexcept;

} // namespace virga::models::world
