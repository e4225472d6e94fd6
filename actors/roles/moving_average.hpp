// actors/roles/moving_average.hpp: v <- past * v + (1 - past) * sample; the first sample is the value.
// Source: HAT (arXiv 2503.18989), state monitoring: weight 0.8 on the past.
#pragma once

#include <cmath>
#include <optional>

namespace virga {

class moving_average {
public:
  explicit moving_average(double past = 0.8) : past_(past) {}

  /// Samples that are not finite, or negative, are ignored: clocks and rates have no such values.
  void add(double sample) { add(sample, past_); }
  /// With another weight on the past.
  void add(double sample, double past) {
    if (!std::isfinite(sample) || sample < 0)
      return;
    value_ = value_ ? past * *value_ + (1 - past) * sample : sample;
  }

  bool empty() const { return !value_; }
  double value_or(double other) const { return value_.value_or(other); }

private:
  double past_;
  std::optional<double> value_;
};

} // namespace virga
