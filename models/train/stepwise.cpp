#include "models/train/stepwise.hpp"

#include <algorithm>

namespace virga::models::train {

double progress::smooth(double mean, double value) const {
  const auto keep = std::min(0.98, static_cast<double>(step) / static_cast<double>(step + 1));
  return keep * mean + (1 - keep) * value;
}

void step_clock::count_into(progress& p, std::uint64_t tokens) const {
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start_;
  p.tokens += tokens;
  ++p.step;
  p.seconds += took.count();
  p.processor_seconds += static_cast<double>(std::clock() - processor_start_) / CLOCKS_PER_SEC;
  const auto rate = static_cast<double>(tokens) / took.count();
  p.tokens_per_second = p.tokens_per_second > 0 ? 0.95 * p.tokens_per_second + 0.05 * rate : rate;
  p.seconds_left = static_cast<double>(p.steps - p.step) * static_cast<double>(tokens) / p.tokens_per_second;
}

} // namespace virga::models::train
