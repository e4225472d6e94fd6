#include "models/train/fused.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

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

void rotary_angles(std::span<const std::uint32_t> positions, double theta, std::int64_t half, float* cos, float* sin) {
  const auto longest = positions.empty() ? 0 : *std::max_element(positions.begin(), positions.end());
  std::vector<float> table_cos, table_sin;
  for (std::uint32_t position = 0; position <= longest; ++position) {
    for (std::int64_t i = 0; i < half; ++i) {
      const auto angle = position * std::pow(theta, -static_cast<double>(i) / static_cast<double>(half));
      table_cos.push_back(static_cast<float>(std::cos(angle)));
      table_sin.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  for (auto position : positions) {
    cos = std::copy_n(table_cos.begin() + position * half, half, cos);
    sin = std::copy_n(table_sin.begin() + position * half, half, sin);
  }
}

void rotate(float* qkv, const float* cos, const float* sin, float direction, const attention_shape& s) {
  const auto half = s.dim / 2;
  for (std::int64_t place = 0; place < s.places; ++place, cos += half, sin += half, qkv += s.row()) {
    for (auto* x = qkv; x < qkv + (s.heads + s.kv_heads) * s.dim; x += s.dim) {
      for (std::int64_t i = 0; i < half; ++i) {
        const auto a = x[i], b = x[i + half], turn = direction * sin[i];
        x[i] = a * cos[i] - b * turn;
        x[i + half] = b * cos[i] + a * turn;
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
