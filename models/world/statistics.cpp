#include "models/world/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace virga::models::world {

namespace {
constexpr double z95 = 1.959963984540054;
}

interval wilson(const rate& r) noexcept {
  if (r.asked == 0) {
    return {};
  }
  const auto n = static_cast<double>(r.asked), p = r.value(), z2 = z95 * z95;
  const auto middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const auto half = z95 / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

auc area_under_curve(std::span<const signal> answers) {
  std::vector<signal> sorted(answers.begin(), answers.end());
  std::sort(sorted.begin(), sorted.end(), [](const signal& a, const signal& b) { return a.value < b.value; });
  double right = 0, wrong = 0, wins = 0;
  for (std::size_t at = 0; at < sorted.size();) {
    auto end = at;
    double right_here = 0, wrong_here = 0;
    for (; end < sorted.size() && sorted[end].value == sorted[at].value; ++end) {
      (sorted[end].right ? right_here : wrong_here) += 1;
    }
    wins += right_here * (wrong + wrong_here / 2);
    right += right_here;
    wrong += wrong_here;
    at = end;
  }
  if (right == 0 || wrong == 0) {
    return {};
  }
  const auto a = wins / (right * wrong);
  const auto q1 = a / (2 - a), q2 = 2 * a * a / (1 + a);
  const auto variance = (a * (1 - a) + (right - 1) * (q1 - a * a) + (wrong - 1) * (q2 - a * a)) / (right * wrong);
  const auto half = z95 * std::sqrt(std::max(variance, 0.0));
  return {a, {std::max(0.0, a - half), std::min(1.0, a + half)}};
}

double mcnemar(std::uint64_t only_first, std::uint64_t only_second) noexcept {
  const auto n = only_first + only_second, fewer = std::min(only_first, only_second);
  double tail = 0;
  for (std::uint64_t k = 0; k <= fewer; ++k) {
    const auto log_choose = std::lgamma(static_cast<double>(n) + 1) - std::lgamma(static_cast<double>(k) + 1)
                            - std::lgamma(static_cast<double>(n - k) + 1);
    tail += std::exp(log_choose - static_cast<double>(n) * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

} // namespace virga::models::world
