// models/rotary.hpp: the angles of rotary position embedding, computed in f64 for every shard.
// Source: RoFormer (Su et al. 2021), with Hugging Face's halves: element d turns with element d + head_dim / 2.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace virga::models {

class rotary {
public:
  rotary(std::uint32_t head_dim, double theta);

  /// cos and sin of position * theta^(-2d / head_dim). @param cos, sin [head_dim / 2]
  template <class Real>
  void fill(std::uint64_t position, std::span<Real> cos, std::span<Real> sin) const;

private:
  std::vector<double> frequency_;
};

} // namespace virga::models
