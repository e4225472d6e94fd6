#include "models/train/leaves_impl.hpp"

#include "models/world/random.hpp"

#include <cmath>
#include <numbers>
#include <numeric>

namespace virga::models::train {

namespace {

float normal(world::random_source& random) {
  const auto radius = std::sqrt(-2 * std::log(random.uniform()));
  return static_cast<float>(radius * std::cos(2 * std::numbers::pi * random.uniform()));
}

} // namespace

std::size_t parameter::size() const {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>{});
}

void leaves::describe(const std::string& name, std::vector<std::uint64_t> dims) {
  const auto offset = parameters_.empty() ? 0 : parameters_.back().offset + parameters_.back().size();
  parameters_.push_back({name, std::move(dims), offset});
}

void leaves::allocate() {
  const auto total = static_cast<std::int64_t>(parameters_.back().offset + parameters_.back().size());
  weights_ = at::empty({total}, at::kFloat);
  gradients_ = at::zeros({total}, at::kFloat);
}

at::Tensor leaves::take(std::size_t count) {
  const auto& first = parameters_[taken_];
  std::int64_t rows = 0;
  for (std::size_t i = 0; i < count; ++i) {
    rows += static_cast<std::int64_t>(parameters_[taken_ + i].shape[0]);
  }
  taken_ += count;
  std::vector<std::int64_t> dims{rows};
  if (first.shape.size() == 2) {
    dims.push_back(static_cast<std::int64_t>(first.shape[1]));
  }
  const auto size = c10::multiply_integers(dims), offset = static_cast<std::int64_t>(first.offset);
  auto value = weights_.narrow(0, offset, size).view(dims).detach();
  value.requires_grad_(true);
  value.mutable_grad() = gradients_.narrow(0, offset, size).view(dims);
  return value;
}

void leaves::draw(std::uint64_t seed, const std::function<double(const parameter&)>& deviation) {
  world::random_source random(world::mix64(seed, 7));
  auto* values = weights_.data_ptr<float>();
  for (const auto& p : parameters_) {
    const auto spread = p.shape.size() == 1 ? 0 : deviation(p);
    for (std::size_t i = 0; i < p.size(); ++i) {
      values[p.offset + i] = p.shape.size() == 1 ? 1.0f : static_cast<float>(spread) * normal(random);
    }
  }
}

std::span<float> leaves::weights() {
  return {weights_.data_ptr<float>(), static_cast<std::size_t>(weights_.numel())};
}

std::span<const float> leaves::gradients() const {
  return {gradients_.const_data_ptr<float>(), static_cast<std::size_t>(gradients_.numel())};
}

} // namespace virga::models::train
