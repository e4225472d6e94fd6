#include "models/train/adamw.hpp"

#include <algorithm>
#include <cmath>

namespace virga::models::train {

adamw::adamw(std::size_t size, const adamw_options& options) : options_(options), first_(size), second_(size) {}

double adamw::update(std::span<float> weights, std::span<const float> gradients, double rate, std::uint64_t step) {
  double squares = 0;
  for (auto g : gradients) {
    squares += static_cast<double>(g) * g;
  }
  const auto norm = std::sqrt(squares);
  const auto scale = static_cast<float>(norm > options_.clip ? options_.clip / norm : 1);
  const auto count = static_cast<double>(step + 1);
  const auto b1 = static_cast<float>(options_.beta1), b2 = static_cast<float>(options_.beta2);
  const auto pace = static_cast<float>(rate / (1 - std::pow(options_.beta1, count)));
  const auto unbias = static_cast<float>(1 / (1 - std::pow(options_.beta2, count)));
  const auto eps = static_cast<float>(options_.eps), keep = static_cast<float>(1 - rate * options_.weight_decay);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto g = gradients[i] * scale;
    first_[i] = b1 * first_[i] + (1 - b1) * g;
    second_[i] = b2 * second_[i] + (1 - b2) * g * g;
    weights[i] = keep * weights[i] - pace * first_[i] / (std::sqrt(second_[i] * unbias) + eps);
  }
  return norm;
}

double learning_rate(double peak, std::uint64_t step, std::uint64_t steps, std::uint64_t warmup) {
  if (step < warmup) {
    return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  }
  const auto done = static_cast<double>(step) / static_cast<double>(std::max<std::uint64_t>(steps, 1));
  return done < 0.6 ? peak : peak * std::max(0.02, 1 - 0.98 * (done - 0.6) / 0.4);
}

} // namespace virga::models::train
