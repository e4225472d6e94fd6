// models/train/adamw.hpp: AdamW (Loshchilov, Hutter 2019) over one flat array, with gradient clipping, and the schedule.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace virga::models::train {

struct adamw_options {
  double beta1 = 0.9, beta2 = 0.98, eps = 1e-8;
  double weight_decay = 0.01;
  double clip = 1;  ///< the gradient's Euclidean norm is scaled down to this
};

class adamw {
public:
  adamw(std::size_t size, const adamw_options& options);

  /// One update. @param step counts from 0, for the bias correction. @returns the gradient's norm before clipping
  double update(std::span<float> weights, std::span<const float> gradients, double rate, std::uint64_t step);

  /// Moments, for checkpoints.
  std::span<float> first() { return first_; }
  std::span<float> second() { return second_; }

private:
  adamw_options options_;
  std::vector<float> first_, second_;
};

/// Learning rate: linear warm-up over `warmup` steps, constant until 60 % of `steps`, then linear to 2 % of `peak`.
double learning_rate(double peak, std::uint64_t step, std::uint64_t steps, std::uint64_t warmup);

} // namespace virga::models::train
