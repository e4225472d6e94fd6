// models/rotary.hpp: the angles of rotary position embedding, computed in f64 for every shard.
// Source: RoFormer (Su et al. 2021), with Hugging Face's halves: element d turns with element d + head_dim / 2. Scalings:
// linear (position interpolation, Chen et al. 2023), yarn (Peng et al. 2023), llama3 (the Llama 3.1 folders; long waves
// are stretched by factor, short ones not, those between by a mixture), all as transformers 5.23 computes them.
#pragma once

#include "models/hf/folder.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace virga::models {

class rotary {
public:
  explicit rotary(const hf::model_config& c);

  /// cos and sin of position * frequency[d], times the scaling's attention factor. @param cos, sin [head_dim / 2]
  template <class Real>
  void fill(std::uint64_t position, std::span<Real> cos, std::span<Real> sin) const;

  /// What fill() is made of: radians a position, [head_dim / 2], and the attention factor.
  std::span<const double> frequencies() const { return frequency_; }
  double amplitude() const { return amplitude_; }

private:
  std::vector<double> frequency_;  ///< radians a position, [head_dim / 2]
  double amplitude_ = 1;
};

} // namespace virga::models
