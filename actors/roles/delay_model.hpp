// actors/roles/delay_model.hpp: how long a batch of so many rows takes, learned from batches that ran: g of HAT's chunk
// rule.
// Source: HAT (arXiv 2503.18989), state monitoring. The paper's form of g is not known; this one is robust against the
// noise of single batches: buckets at 1, 2, 4, ... 4096 rows, each a moving average, linear between them. A batch takes no longer
// than a larger one, and a larger one no longer for each row: where two buckets say otherwise the one that was heard of last is
// believed. A size that looked slow once, and is not used for that, does not stay so.
#pragma once

#include "actors/roles/moving_average.hpp"

#include <array>
#include <cstdint>

namespace virga {

class delay_model {
public:
  static constexpr std::size_t buckets = 13;

  /// A batch of `rows` rows took so long. A batch between two buckets tells the nearer one what it would have taken.
  void add(std::uint64_t rows, double seconds);

  bool empty() const { return samples_ == 0; }
  std::uint64_t samples() const { return samples_; }

  /// Seconds, at least 0; 0 before the first sample. Beyond the buckets seen the nearest one's rate per row is kept
  /// above, and its time below.
  double predict(double rows) const;

private:
  void reconcile();

  std::array<moving_average, buckets> seen_;
  std::array<std::uint64_t, buckets> heard_{};  ///< number of the last sample; 0: none
  std::array<double, buckets> known_{};         ///< seconds, of the buckets seen
  std::uint64_t samples_ = 0;
};

} // namespace virga
