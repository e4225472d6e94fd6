#include "models/rotary.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace virga::models {

namespace {

using hf::rope_scaling;

constexpr double full_turn = 2 * std::numbers::pi;

double llama3(double frequency, const rope_scaling& r) {
  double waves = r.original_max_position_embeddings * frequency / full_turn;  // in the original context
  if (waves > r.high_freq_factor)
    return frequency;
  if (waves < r.low_freq_factor)
    return frequency / r.factor;
  double smooth = (waves - r.low_freq_factor) / (r.high_freq_factor - r.low_freq_factor);
  return (1 - smooth) * frequency / r.factor + smooth * frequency;
}

/// The dimensions between which yarn goes over from keeping a frequency to dividing it by factor.
struct yarn_ramp {
  double low, high;

  yarn_ramp(const rope_scaling& r, double dim, double theta) {
    auto dimension = [&](double turns) {
      return dim * std::log(r.original_max_position_embeddings / (turns * full_turn)) / (2 * std::log(theta));
    };
    low = dimension(r.beta_fast);
    high = dimension(r.beta_slow);
    if (r.truncate) {
      low = std::floor(low);
      high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, dim - 1);
    if (low == high)
      high += 0.001;
  }
  double kept(double d) const { return 1 - std::clamp((d - low) / (high - low), 0.0, 1.0); }
};

} // namespace

rotary::rotary(const hf::model_config& c) {
  auto& r = c.rope;
  double dim = c.head_dim;
  for (std::uint32_t d = 0; d < c.head_dim / 2; ++d)
    frequency_.push_back(1 / std::pow(c.rope_theta, 2.0 * d / dim));
  switch (r.type) {
    case rope_scaling::kind::none: break;
    case rope_scaling::kind::linear:
      for (auto& f : frequency_)
        f /= r.factor;
      break;
    case rope_scaling::kind::llama3:
      for (auto& f : frequency_)
        f = llama3(f, r);
      break;
    case rope_scaling::kind::yarn: {
      yarn_ramp ramp(r, dim, c.rope_theta);
      for (std::size_t d = 0; d < frequency_.size(); ++d) {
        auto kept = ramp.kept(static_cast<double>(d));
        frequency_[d] = frequency_[d] / r.factor * (1 - kept) + frequency_[d] * kept;
      }
      amplitude_ = r.attention_factor;
    }
  }
}

template <class Real>
void rotary::fill(std::uint64_t position, std::span<Real> cos, std::span<Real> sin) const {
  for (std::size_t d = 0; d < frequency_.size(); ++d) {
    double angle = static_cast<double>(position) * frequency_[d];
    cos[d] = static_cast<Real>(std::cos(angle) * amplitude_);
    sin[d] = static_cast<Real>(std::sin(angle) * amplitude_);
  }
}

template void rotary::fill(std::uint64_t, std::span<float>, std::span<float>) const;
template void rotary::fill(std::uint64_t, std::span<double>, std::span<double>) const;

} // namespace virga::models
