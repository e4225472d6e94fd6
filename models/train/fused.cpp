#include "models/train/fused.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace virga::models::train::fused {

void rms_norm(const float* x, const float* weight, double eps, std::int64_t n, std::int64_t width, float* y,
              float* inverse) {
  for (std::int64_t row = 0; row < n; ++row, x += width, y += width) {
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (std::int64_t i = 0; i < width; ++i) {
      squares += x[i] * x[i];
    }
    const auto scale = static_cast<float>(1 / std::sqrt(squares / static_cast<double>(width) + eps));
    inverse[row] = scale;
    for (std::int64_t i = 0; i < width; ++i) {
      y[i] = x[i] * scale * weight[i];
    }
  }
}

void rms_norm_backward(const float* x, const float* weight, const float* inverse, const float* dy, std::int64_t n,
                       std::int64_t width, float* dx, float* dweight) {
  for (std::int64_t row = 0; row < n; ++row, x += width, dy += width, dx += width) {
    const auto scale = inverse[row];
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t i = 0; i < width; ++i) {
      dot += dy[i] * weight[i] * x[i];
    }
    const auto pull = dot * scale * scale / static_cast<float>(width);
    for (std::int64_t i = 0; i < width; ++i) {
      dweight[i] += dy[i] * x[i] * scale;
      dx[i] = scale * (dy[i] * weight[i] - x[i] * pull);
    }
  }
}

void rotate(const float* x, const float* cos, const float* sin, std::int64_t n, std::int64_t heads, std::int64_t dim,
            float* y) {
  const auto half = dim / 2;
  for (std::int64_t place = 0; place < n; ++place, cos += half, sin += half) {
    for (std::int64_t head = 0; head < heads; ++head, x += dim, y += dim) {
      for (std::int64_t i = 0; i < half; ++i) {
        y[i] = x[i] * cos[i] - x[i + half] * sin[i];
        y[i + half] = x[i + half] * cos[i] + x[i] * sin[i];
      }
    }
  }
}

void block_causal_mask(const std::uint32_t* segments, std::int64_t rows, std::int64_t width, float* mask) {
  constexpr auto hidden = -std::numeric_limits<float>::infinity();
  for (std::int64_t row = 0; row < rows; ++row, segments += width) {
    for (std::int64_t query = 0; query < width; ++query, mask += width) {
      for (std::int64_t key = 0; key < width; ++key) {
        mask[key] = key <= query && segments[key] == segments[query] ? 0 : hidden;
      }
    }
  }
}

step_loss cross_entropy_gradient(const packed_batch& batch, float* probabilities, std::int64_t vocab) {
  double weight_sum = 0, answers = 0, prompts = 0;
  for (std::size_t i = 0; i < batch.weights.size(); ++i) {
    weight_sum += batch.weights[i];
    (batch.is_answer[i] ? answers : prompts) += batch.weights[i] > 0 || batch.is_answer[i] ? 1 : 0;
  }
  step_loss loss;
  for (std::size_t place = 0; place < batch.weights.size(); ++place, probabilities += vocab) {
    const auto scale = static_cast<float>(batch.weights[place] / std::max(weight_sum, 1e-9));
    if (scale == 0) {
      std::fill_n(probabilities, vocab, 0.0f);
      continue;
    }
    auto& right = probabilities[batch.targets[place]];
    const auto surprise = -std::log(std::max(static_cast<double>(right), 1e-30));
    (batch.is_answer[place] ? loss.answer : loss.prompt) += surprise;
    right -= 1;
    for (std::int64_t i = 0; i < vocab; ++i) {
      probabilities[i] *= scale;
    }
  }
  loss.answer /= std::max(answers, 1.0);
  loss.prompt /= std::max(prompts, 1.0);
  return loss;
}

} // namespace virga::models::train::fused
