// models/reference/math.hpp: the operations of the reference shard. Every output element is a sum in ascending order
// of its own row, so it does not depend on what else is in the batch. Rows are [count, width], row-major.
#pragma once

#include "models/hf/convert.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

namespace virga::models::reference {

template <class Real>
using rows = std::vector<Real>;

/// A weight matrix [outputs, inputs], stored as blocks of outputs so that the compiler can work on many outputs at
/// once; each output still adds its products one after the other.
template <class Real>
class matrix {
public:
  matrix() = default;
  /// @param bias [outputs] or none
  explicit matrix(const hf::tensor_view& t, const hf::tensor_view* bias = nullptr)
      : outputs_(t.shape.at(0)), inputs_(t.shape.at(1)) {
    if (bias)
      bias_ = hf::to_reals<Real>(*bias);
    auto w = hf::to_reals<Real>(t);
    blocks_.assign((outputs_ + width - 1) / width * width * inputs_, Real{0});
    for (std::size_t o = 0; o < outputs_; ++o)
      for (std::size_t k = 0; k < inputs_; ++k)
        blocks_[(o / width * inputs_ + k) * width + o % width] = w[o * inputs_ + k];
  }

  /// x [count, inputs] -> [count, outputs]
  rows<Real> times(const rows<Real>& x) const {
    rows<Real> y(x.size() / inputs_ * outputs_);
    for (std::size_t o = 0; o < outputs_; o += width)
      for (std::size_t r = 0; r * inputs_ < x.size(); ++r)
        one_block(&blocks_[o * inputs_], &x[r * inputs_], &y[r * outputs_ + o], std::min(width, outputs_ - o));
    for (std::size_t i = 0; !bias_.empty() && i < y.size(); ++i)
      y[i] += bias_[i % outputs_];
    return y;
  }

private:
  static constexpr std::size_t width = 256 / sizeof(Real);  // bytes; half of it is three times slower in f64 (g++ 12)

  void one_block(const Real* w, const Real* x, Real* y, std::size_t count) const {
    Real sum[width] = {};
    for (std::size_t k = 0; k < inputs_; ++k)
      for (std::size_t j = 0; j < width; ++j)
        sum[j] += x[k] * w[k * width + j];
    std::copy(sum, sum + count, y);
  }

  std::size_t outputs_ = 0, inputs_ = 0;
  std::vector<Real> blocks_, bias_;
};

/// x / sqrt(mean(x^2) + eps) * weight. Source: Zhang and Sennrich 2019.
template <class Real>
rows<Real> rms_norm(const rows<Real>& x, const std::vector<Real>& weight, double eps) {
  auto n = weight.size();
  rows<Real> y(x.size());
  for (std::size_t at = 0; at < x.size(); at += n) {
    Real sum = 0;
    for (std::size_t i = 0; i < n; ++i)
      sum += x[at + i] * x[at + i];
    Real scale = Real{1} / std::sqrt(sum / static_cast<Real>(n) + static_cast<Real>(eps));
    for (std::size_t i = 0; i < n; ++i)
      y[at + i] = weight[i] * (x[at + i] * scale);
  }
  return y;
}

/// a := silu(a) * b
template <class Real>
void swiglu(rows<Real>& a, const rows<Real>& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    a[i] = a[i] / (Real{1} + std::exp(-a[i])) * b[i];
}

template <class Real>
void add(rows<Real>& x, const rows<Real>& y) {
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] += y[i];
}

} // namespace virga::models::reference
