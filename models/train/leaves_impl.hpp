// models/train/leaves_impl.hpp: weights and gradients of a net as one flat f32 array each, and the leaves of the graph
// that lie in them. Private to models/train, as every *_impl.hpp.
#pragma once

#include "models/train/net.hpp"

#include <ATen/ATen.h>

#include <functional>
#include <string>
#include <vector>

namespace virga::models::train {

class leaves {
public:
  /// First all tensors, in the order in which they lie ...
  void describe(const std::string& name, std::vector<std::uint64_t> dims);
  /// ... then the arrays, once ...
  void allocate();
  /// ... then a leaf each: the next `count` tensors, stacked.
  at::Tensor take(std::size_t count);

  /// Normal numbers of the deviation that is said of each matrix; vectors are 1.
  void draw(std::uint64_t seed, const std::function<double(const parameter&)>& deviation);

  const std::vector<parameter>& parameters() const { return parameters_; }
  std::span<float> weights();
  std::span<const float> gradients() const;
  void clear_gradients() { gradients_.zero_(); }

private:
  std::vector<parameter> parameters_;
  at::Tensor weights_, gradients_;
  std::size_t taken_ = 0;
};

} // namespace virga::models::train
