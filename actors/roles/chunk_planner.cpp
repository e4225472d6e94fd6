#include "actors/roles/chunk_planner.hpp"

#include <algorithm>
#include <limits>

namespace virga {

namespace {

double sane(double value) { return std::isfinite(value) ? std::max(value, 0.0) : 0; }

/// Seconds until the cloud can take the next chunk.
double service(const delay_model& g, const chunk_view& view, chunk_rule rule, double rows) {
  auto stages = static_cast<double>(std::max(view.stages, 1u));
  auto compute = g.predict(sane(view.load_rows) + rows), wait = sane(view.wait_s);
  return rule == chunk_rule::apart ? wait + compute / stages : (wait + compute) / stages;
}

/// The largest multiple whose batch stays within the budget.
std::uint32_t affordable(const delay_model& g, const chunk_view& view, const chunk_limits& limits) {
  auto x = limits.most;
  while (limits.step_budget_s > 0 && x > limits.least && g.predict(sane(view.load_rows) + x) > limits.step_budget_s)
    x = x > limits.multiple ? x - limits.multiple : limits.least;
  return std::max(x, limits.least);
}

} // namespace

std::uint32_t plan_chunk(const delay_model& g, const chunk_view& view, const chunk_limits& limits) {
  auto most = affordable(g, view, limits);
  if (g.empty() || !std::isfinite(view.up_bytes_per_s) || view.up_bytes_per_s <= 0)
    return most;
  auto multiple = std::max(limits.multiple, 1u);
  auto first = (limits.least + multiple - 1) / multiple * multiple;
  const auto row_s = sane(view.row_bytes) / view.up_bytes_per_s, prompt = sane(view.prompt_rows);
  auto soonest = most;
  auto soonest_s = std::numeric_limits<double>::infinity();
  for (auto x = std::min(first, most);; x = std::min(x + multiple, most)) {
    const auto upload = x * row_s, cloud = service(g, view, limits.rule, x);
    if (auto first_token = upload + std::max(prompt / x, 1.0) * cloud; first_token < soonest_s)
      soonest = x, soonest_s = first_token;
    if (upload >= cloud || x == most)
      return prompt > 0 ? soonest : x;
  }
}

} // namespace virga
