// The trainer's own arithmetic against plain definitions and finite differences.
#include "models/train/adamw.hpp"
#include "models/train/attention.hpp"
#include "models/train/fused.hpp"
#include "models/train/net.hpp"
#include "models/world/random.hpp"
#include "tests/support/catch.hpp"

#include <cmath>

using namespace virga;
using namespace virga::models;
using namespace virga::models::train;

namespace {

std::vector<float> noise(std::size_t n, std::uint64_t seed) {
  world::random_source random(seed);
  std::vector<float> values(n);
  for (auto& v : values) {
    v = static_cast<float>(2 * random.uniform() - 1);
  }
  return values;
}

/// Attention by its definition, in f64, for one example at places [first, first + count).
std::vector<double> plain_attention(const fused::attention_shape& s, const fused::stretch& e, const std::vector<float>& qkv) {
  std::vector<double> out(static_cast<std::size_t>(e.count * s.heads * s.dim));
  const auto at = [&](std::int64_t place, std::int64_t slot, std::int64_t i) {
    return static_cast<double>(qkv[static_cast<std::size_t>((e.first + place) * s.row() + slot * s.dim + i)]);
  };
  for (std::int64_t head = 0; head < s.heads; ++head) {
    const auto k = s.heads + head / (s.heads / s.kv_heads), v = k + s.kv_heads;
    for (std::int64_t i = 0; i < e.count; ++i) {
      std::vector<double> p(static_cast<std::size_t>(i + 1));
      double sum = 0;
      for (std::int64_t j = 0; j <= i; ++j) {
        double dot = 0;
        for (std::int64_t d = 0; d < s.dim; ++d) {
          dot += at(i, head, d) * at(j, k, d);
        }
        sum += p[static_cast<std::size_t>(j)] = std::exp(dot / std::sqrt(static_cast<double>(s.dim)));
      }
      for (std::int64_t j = 0; j <= i; ++j) {
        for (std::int64_t d = 0; d < s.dim; ++d) {
          out[static_cast<std::size_t>((i * s.heads + head) * s.dim + d)] += p[static_cast<std::size_t>(j)] / sum * at(j, v, d);
        }
      }
    }
  }
  return out;
}

packed_batch small_batch() {
  packer pack(2, 8, 0.25f);
  pack.add({{1, 5, 6, 7, 2}, 3});
  pack.add({{1, 8, 2}, 1});
  pack.add({{1, 9, 5, 4, 6, 2}, 2});
  return pack.take();
}

net_shape small_shape() {
  return {.layers = 2, .hidden = 8, .intermediate = 12, .heads = 2, .kv_heads = 1, .head_dim = 4, .vocab = 11};
}

/// Of the weighted mean that forward_backward differentiates.
double weighted_loss(net& model, const packed_batch& b) {
  const auto logits = model.logits(b);
  const std::size_t vocab = model.shape().vocab;
  double loss = 0, weights = 0;
  for (std::size_t place = 0; place < b.weights.size(); ++place) {
    double sum = 0;
    for (std::size_t i = 0; i < vocab; ++i) {
      sum += std::exp(static_cast<double>(logits[place * vocab + i]));
    }
    loss += b.weights[place] * (std::log(sum) - logits[place * vocab + static_cast<std::size_t>(b.targets[place])]);
    weights += b.weights[place];
  }
  return loss / weights;
}

} // namespace

TEST_CASE("attention looks inside each example only, as defined", "[models][train]") {
  const std::vector<std::uint32_t> segments{1, 1, 1, 2, 2, 2, 2, 0, 3, 3};
  const auto examples = fused::find_stretches(segments);
  REQUIRE(examples.size() == 3);
  for (auto dim : {4, 20, 40}) {
    for (auto kv_heads : {4, 2}) {
      const fused::attention_shape s{10, 4, kv_heads, dim};
      const auto qkv = noise(static_cast<std::size_t>(10 * s.row()), 3);
      std::vector<float> out(static_cast<std::size_t>(10 * 4 * dim), 9), memory(static_cast<std::size_t>(fused::attention_memory(s, examples)));
      fused::attention(s, examples, qkv.data(), out.data(), memory.data());
      for (const auto& e : examples) {
        const auto expected = plain_attention(s, e, qkv);
        for (std::size_t i = 0; i < expected.size(); ++i) {
          CHECK(out[static_cast<std::size_t>(e.first * 4 * dim) + i] == Approx(expected[i]).margin(1e-5));
        }
      }
      CHECK(out[static_cast<std::size_t>(7 * 4 * dim)] == 0);
    }
  }
}

TEST_CASE("every gradient agrees with finite differences", "[models][train]") {
  net model(small_shape(), 5, product_type::f32);
  const auto batch = small_batch();
  model.forward_backward(batch);
  const std::vector<float> gradient(model.gradients().begin(), model.gradients().end());
  world::random_source random(8);
  for (const auto& p : model.parameters()) {
    for (int i = 0; i < 6; ++i) {
      auto& weight = model.weights()[p.offset + random.below(p.size())];
      const auto at = static_cast<std::size_t>(&weight - model.weights().data());
      const auto kept = weight;
      constexpr float step = 2e-3f;
      weight = kept + step;
      const auto above = weighted_loss(model, batch);
      weight = kept - step;
      const auto below = weighted_loss(model, batch);
      weight = kept;
      INFO(p.name);
      CHECK(gradient[at] == Approx((above - below) / (2 * step)).epsilon(0.02).margin(3e-4));
    }
  }
}

TEST_CASE("bf16 products give nearly the f32 loss and gradients", "[models][train]") {
  net exact(small_shape(), 5, product_type::f32), rounded(small_shape(), 5, product_type::bf16);
  const auto batch = small_batch();
  const auto a = exact.forward_backward(batch), b = rounded.forward_backward(batch);
  CHECK(a.answer == Approx(b.answer).epsilon(0.02));
  double dot = 0, norm_a = 0, norm_b = 0;
  for (std::size_t i = 0; i < exact.gradients().size(); ++i) {
    const double x = exact.gradients()[i], y = rounded.gradients()[i];
    dot += x * y;
    norm_a += x * x;
    norm_b += y * y;
  }
  CHECK(dot / std::sqrt(norm_a * norm_b) > 0.99);
}

TEST_CASE("a neighbour in the row changes nothing", "[models][train]") {
  net model(small_shape(), 5, product_type::f32);
  packer pack(1, 16, 1);
  const example e{{1, 5, 6, 7, 2}, 3};
  pack.add(e);
  const auto alone = model.logits(pack.take());
  pack.add({{1, 8, 9, 2}, 1});
  pack.add(e);
  const auto beside = model.logits(pack.take());
  for (std::size_t i = 0; i < 5 * 11; ++i) {
    CHECK(alone[i] == Approx(beside[4 * 11 + i]).margin(1e-5));
  }
}

TEST_CASE("AdamW makes the textbook step", "[models][train]") {
  adamw optimiser(2, {});
  std::vector<float> weights{1, -2};
  const std::vector<float> gradients{0.3f, -0.4f};  // norm 0.5: not clipped
  CHECK(optimiser.update(weights, gradients, 0.1, 0) == Approx(0.5));
  // After the first step the unbiased moments are g and g squared: the step is rate * sign(g), plus decay.
  CHECK(weights[0] == Approx(1 * (1 - 0.1 * 0.01) - 0.1).epsilon(1e-5));
  CHECK(weights[1] == Approx(-2 * (1 - 0.1 * 0.01) + 0.1).epsilon(1e-5));
  adamw clipped(1, {});
  std::vector<float> one{0};
  CHECK(clipped.update(one, std::vector<float>{30}, 0.1, 0) == Approx(30));
  CHECK(clipped.first()[0] == Approx(0.1));
}

TEST_CASE("the learning rate warms up, stays, and falls to a fiftieth", "[models][train]") {
  CHECK(learning_rate(1, 0, 1000, 200) == Approx(0.005));
  CHECK(learning_rate(1, 199, 1000, 200) == Approx(1));
  CHECK(learning_rate(1, 599, 1000, 200) == 1);
  CHECK(learning_rate(1, 800, 1000, 200) == Approx(0.51));
  CHECK(learning_rate(1, 1000, 1000, 200) == Approx(0.02));
}
