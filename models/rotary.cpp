#include "models/rotary.hpp"

#include <cmath>

namespace virga::models {

rotary::rotary(std::uint32_t head_dim, double theta) {
  for (std::uint32_t d = 0; d < head_dim / 2; ++d)
    frequency_.push_back(1 / std::pow(theta, 2.0 * d / head_dim));
}

template <class Real>
void rotary::fill(std::uint64_t position, std::span<Real> cos, std::span<Real> sin) const {
  for (std::size_t d = 0; d < frequency_.size(); ++d) {
    double angle = static_cast<double>(position) * frequency_[d];
    cos[d] = static_cast<Real>(std::cos(angle));
    sin[d] = static_cast<Real>(std::sin(angle));
  }
}

template void rotary::fill(std::uint64_t, std::span<float>, std::span<float>) const;
template void rotary::fill(std::uint64_t, std::span<double>, std::span<double>) const;

} // namespace virga::models
