#include "models/train/net.hpp"

#include "models/train/fused.hpp"
#include "models/train/leaves_impl.hpp"
#include "models/train/operations_impl.hpp"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <memory>

namespace virga::models::train {

bool has_fast_bf16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

struct net::impl {
  net_shape shape;
  at::ScalarType products;
  leaves flat;
  at::Tensor embedding, final_norm;
  /// qkv and gate_up are each several Hugging Face tensors that lie one after the other.
  struct layer {
    at::Tensor norm1, qkv, out, norm2, gate_up, down;
  };
  std::vector<layer> layers;

  void describe_all() {
    const std::uint64_t h = shape.hidden, m = shape.intermediate;
    const std::uint64_t q = std::uint64_t{shape.heads} * shape.head_dim, kv = std::uint64_t{shape.kv_heads} * shape.head_dim;
    flat.describe("model.embed_tokens.weight", {shape.vocab, h});
    for (std::uint32_t i = 0; i < shape.layers; ++i) {
      const auto at = "model.layers." + std::to_string(i) + ".";
      flat.describe(at + "input_layernorm.weight", {h});
      flat.describe(at + "self_attn.q_proj.weight", {q, h});
      flat.describe(at + "self_attn.k_proj.weight", {kv, h});
      flat.describe(at + "self_attn.v_proj.weight", {kv, h});
      flat.describe(at + "self_attn.o_proj.weight", {h, q});
      flat.describe(at + "post_attention_layernorm.weight", {h});
      flat.describe(at + "mlp.gate_proj.weight", {m, h});
      flat.describe(at + "mlp.up_proj.weight", {m, h});
      flat.describe(at + "mlp.down_proj.weight", {h, m});
    }
    flat.describe("model.norm.weight", {h});
  }

  void make_leaves() {
    flat.allocate();
    embedding = flat.take(1);
    for (std::uint32_t i = 0; i < shape.layers; ++i) {
      auto& l = layers.emplace_back();
      l.norm1 = flat.take(1);
      l.qkv = flat.take(3);
      l.out = flat.take(1);
      l.norm2 = flat.take(1);
      l.gate_up = flat.take(2);
      l.down = flat.take(1);
    }
    final_norm = flat.take(1);
  }

  double deviation(const parameter& p) const {
    const bool output = p.name.ends_with("o_proj.weight") || p.name.ends_with("down_proj.weight");
    return 0.5 / std::sqrt(static_cast<double>(p.shape.back())) / (output ? std::sqrt(2.0 * shape.layers) : 1);
  }

  at::Tensor product(const at::Tensor& x, const at::Tensor& weight) { return at::linear(x, weight.to(products)); }

  std::shared_ptr<layout> lay_out(const packed_batch& batch) const;
  at::Tensor forward(const packed_batch& batch);
};

std::shared_ptr<layout> net::impl::lay_out(const packed_batch& batch) const {
  auto in = std::make_shared<layout>();
  const auto places = static_cast<std::int64_t>(batch.ids.size());
  const std::int64_t half = shape.head_dim / 2;
  in->shape = {places, shape.heads, shape.kv_heads, shape.head_dim};
  in->examples = fused::find_stretches(batch.segments);
  in->cos = at::empty({places, half}, at::kFloat);
  in->sin = at::empty({places, half}, at::kFloat);
  fused::rotary_angles(batch.positions, shape.rope_theta, half, in->cos.data_ptr<float>(), in->sin.data_ptr<float>());
  return in;
}

at::Tensor net::impl::forward(const packed_batch& batch) {
  const auto in = lay_out(batch);
  const auto places = in->shape.places;
  auto x = at::embedding(embedding, at::tensor(at::ArrayRef<std::int64_t>(batch.ids), at::kLong));
  for (const auto& l : layers) {
    const auto qkv = product(rms_norm(x, l.norm1, shape.norm_eps, products), l.qkv);
    x = x + product(attend(qkv.view({places, -1, std::int64_t{shape.head_dim}}), in), l.out);
    x = x + product(swiglu(product(rms_norm(x, l.norm2, shape.norm_eps, products), l.gate_up)), l.down);
  }
  return product(rms_norm(x, final_norm, shape.norm_eps, products), embedding);
}

net::net(const net_shape& shape, std::uint64_t seed, product_type products) : impl_(std::make_unique<impl>()) {
  impl_->shape = shape;
  impl_->products = products == product_type::bf16 ? at::kBFloat16 : at::kFloat;
  impl_->describe_all();
  impl_->make_leaves();
  impl_->flat.draw(seed, [this](const parameter& p) { return impl_->deviation(p); });
}

net::~net() = default;

const net_shape& net::shape() const { return impl_->shape; }

const std::vector<parameter>& net::parameters() const { return impl_->flat.parameters(); }

std::span<float> net::weights() { return impl_->flat.weights(); }

std::span<const float> net::gradients() const { return impl_->flat.gradients(); }

step_loss net::forward_backward(const packed_batch& batch) {
  impl_->flat.clear_gradients();
  const auto logits = impl_->forward(batch);
  // The gradient of the weighted mean cross-entropy by the logits is written down directly: softmax minus target.
  auto gradient = at::softmax(logits.detach(), 1, at::kFloat);
  const auto loss = fused::cross_entropy_gradient(batch, gradient.data_ptr<float>(), gradient.size(1));
  logits.backward(gradient.to(logits.scalar_type()));
  return {loss.answer, loss.prompt};
}

std::vector<float> net::logits(const packed_batch& batch) {
  const at::NoGradGuard no_gradient;
  const auto out = impl_->forward(batch).to(at::kFloat).contiguous();
  return {out.const_data_ptr<float>(), out.const_data_ptr<float>() + out.numel()};
}

} // namespace virga::models::train
