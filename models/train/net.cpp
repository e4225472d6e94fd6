#include "models/train/net.hpp"

#include "models/train/attention.hpp"
#include "models/train/fused.hpp"
#include "models/world/random.hpp"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <memory>
#include <numbers>
#include <numeric>

namespace virga::models::train {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

/// x [n, width] f32, weight [width] f32 -> [n, width] in `out`.
struct rms_norm : torch::autograd::Function<rms_norm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, double eps,
                            at::ScalarType out) {
    auto y = at::empty_like(x);
    auto inverse = at::empty({x.size(0)}, x.options());
    fused::rms_norm(x.const_data_ptr<float>(), weight.const_data_ptr<float>(), eps, x.size(0), x.size(1),
                    y.data_ptr<float>(), inverse.data_ptr<float>());
    ctx->save_for_backward({x, weight, inverse});
    return y.to(out);
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto& x = saved[0];
    const auto dy = grads[0].to(at::kFloat).contiguous();
    auto dx = at::empty_like(x);
    auto dw = at::zeros_like(saved[1]);
    fused::rms_norm_backward(x.const_data_ptr<float>(), saved[1].const_data_ptr<float>(),
                             saved[2].const_data_ptr<float>(), dy.const_data_ptr<float>(), x.size(0), x.size(1),
                             dx.data_ptr<float>(), dw.data_ptr<float>());
    return {dx, dw, at::Tensor(), at::Tensor()};
  }
};

/// Places of the batch that belong together, and the rotary angles of each.
struct layout {
  fused::attention_shape shape;
  std::vector<fused::stretch> examples;
  at::Tensor cos, sin;  ///< [places, dim / 2]
};

/// Turns q and k of qkv [places, heads + 2 kv_heads, dim] f32 in place by their position; `direction` -1 turns back.
void turn(const layout& in, const at::Tensor& qkv, float direction) {
  fused::rotate(qkv.data_ptr<float>(), in.cos.const_data_ptr<float>(), in.sin.const_data_ptr<float>(), direction,
                in.shape);
}

/// Rotary positions and causal attention inside each example: qkv as above -> [places, heads * dim] f32.
struct attend : torch::autograd::Function<attend> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const std::shared_ptr<layout>& in) {
    const auto turned = qkv.to(at::kFloat, false, true).contiguous();
    turn(*in, turned, 1);
    auto out = at::empty({in->shape.places, in->shape.heads * in->shape.dim}, at::kFloat);
    auto memory = at::empty({fused::attention_memory(in->shape, in->examples)}, at::kFloat);
    fused::attention(in->shape, in->examples, turned.const_data_ptr<float>(), out.data_ptr<float>(),
                     memory.data_ptr<float>());
    ctx->save_for_backward({turned, memory});
    ctx->saved_data["layout"] = c10::IValue::make_capsule(c10::make_intrusive<holder>(in));
    ctx->saved_data["type"] = static_cast<std::int64_t>(qkv.scalar_type());
    return out.to(qkv.scalar_type());
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto held = ctx->saved_data["layout"].toCapsule();
    const auto& in = static_cast<holder&>(*held).in;
    const auto dout = grads[0].to(at::kFloat).contiguous();
    auto dqkv = at::empty_like(saved[0]);
    fused::attention_backward(in->shape, in->examples, saved[0].const_data_ptr<float>(),
                              saved[1].const_data_ptr<float>(), dout.const_data_ptr<float>(), dqkv.data_ptr<float>());
    turn(*in, dqkv, -1);
    return {dqkv.to(static_cast<at::ScalarType>(ctx->saved_data["type"].toInt())), at::Tensor()};
  }
  struct holder : torch::CustomClassHolder {
    explicit holder(std::shared_ptr<layout> l) : in(std::move(l)) {}
    std::shared_ptr<layout> in;
  };
};

/// silu(gate) * up of both [n, 2 width] -> [n, width], without the zero-filled gradients that slicing would make.
struct swiglu : torch::autograd::Function<swiglu> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& both) {
    ctx->save_for_backward({both});
    const auto m = both.size(1) / 2;
    return at::silu(both.narrow(1, 0, m)).mul_(both.narrow(1, m, m));
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto both = ctx->get_saved_variables()[0];
    const auto m = both.size(1) / 2;
    const auto gate = both.narrow(1, 0, m), up = both.narrow(1, m, m);
    auto d = at::empty_like(both);
    d.narrow(1, 0, m).copy_(at::silu_backward(grads[0] * up, gate));
    auto dup = d.narrow(1, m, m);
    at::mul_out(dup, at::silu(gate), grads[0]);
    return {d};
  }
};

float normal(world::random_source& random) {
  const auto radius = std::sqrt(-2 * std::log(random.uniform()));
  return static_cast<float>(radius * std::cos(2 * std::numbers::pi * random.uniform()));
}

} // namespace

bool has_fast_bf16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

std::size_t parameter::size() const {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>{});
}

struct net::impl {
  net_shape shape;
  at::ScalarType products;
  std::vector<parameter> parameters;
  at::Tensor flat, flat_gradient;
  at::Tensor embedding, final_norm;
  /// qkv and gate_up are each several Hugging Face tensors that lie one after the other.
  struct layer {
    at::Tensor norm1, qkv, out, norm2, gate_up, down;
  };
  std::vector<layer> layers;

  void describe(const std::string& name, std::vector<std::uint64_t> dims) {
    const auto offset = parameters.empty() ? 0 : parameters.back().offset + parameters.back().size();
    parameters.push_back({name, std::move(dims), offset});
  }

  void describe_all() {
    const std::uint64_t h = shape.hidden, m = shape.intermediate;
    const std::uint64_t q = std::uint64_t{shape.heads} * shape.head_dim, kv = std::uint64_t{shape.kv_heads} * shape.head_dim;
    describe("model.embed_tokens.weight", {shape.vocab, h});
    for (std::uint32_t i = 0; i < shape.layers; ++i) {
      const auto at = "model.layers." + std::to_string(i) + ".";
      describe(at + "input_layernorm.weight", {h});
      describe(at + "self_attn.q_proj.weight", {q, h});
      describe(at + "self_attn.k_proj.weight", {kv, h});
      describe(at + "self_attn.v_proj.weight", {kv, h});
      describe(at + "self_attn.o_proj.weight", {h, q});
      describe(at + "post_attention_layernorm.weight", {h});
      describe(at + "mlp.gate_proj.weight", {m, h});
      describe(at + "mlp.up_proj.weight", {m, h});
      describe(at + "mlp.down_proj.weight", {h, m});
    }
    describe("model.norm.weight", {h});
  }

  /// A leaf of the graph whose value and gradient are `count` described tensors of the flat arrays, stacked.
  at::Tensor leaf(std::size_t& next, std::size_t count) {
    const auto& first = parameters[next];
    std::int64_t rows = 0;
    for (std::size_t i = 0; i < count; ++i) {
      rows += static_cast<std::int64_t>(parameters[next + i].shape[0]);
    }
    next += count;
    std::vector<std::int64_t> dims{rows};
    if (first.shape.size() == 2) {
      dims.push_back(static_cast<std::int64_t>(first.shape[1]));
    }
    const auto size = c10::multiply_integers(dims), offset = static_cast<std::int64_t>(first.offset);
    auto value = flat.narrow(0, offset, size).view(dims).detach();
    value.requires_grad_(true);
    value.mutable_grad() = flat_gradient.narrow(0, offset, size).view(dims);
    return value;
  }

  void make_leaves() {
    const auto total = static_cast<std::int64_t>(parameters.back().offset + parameters.back().size());
    flat = at::empty({total}, at::kFloat);
    flat_gradient = at::zeros({total}, at::kFloat);
    std::size_t next = 0;
    embedding = leaf(next, 1);
    for (std::uint32_t i = 0; i < shape.layers; ++i) {
      auto& l = layers.emplace_back();
      l.norm1 = leaf(next, 1);
      l.qkv = leaf(next, 3);
      l.out = leaf(next, 1);
      l.norm2 = leaf(next, 1);
      l.gate_up = leaf(next, 2);
      l.down = leaf(next, 1);
    }
    final_norm = leaf(next, 1);
  }

  void draw_weights(std::uint64_t seed) {
    world::random_source random(world::mix64(seed, 7));
    auto* values = flat.data_ptr<float>();
    for (const auto& p : parameters) {
      const bool output = p.name.ends_with("o_proj.weight") || p.name.ends_with("down_proj.weight");
      const auto deviation = 0.5 / std::sqrt(static_cast<double>(p.shape.back())) / (output ? std::sqrt(2.0 * shape.layers) : 1);
      for (std::size_t i = 0; i < p.size(); ++i) {
        values[p.offset + i] = p.shape.size() == 1 ? 1.0f : static_cast<float>(deviation) * normal(random);
      }
    }
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
    const auto qkv = product(rms_norm::apply(x, l.norm1, shape.norm_eps, products), l.qkv);
    x = x + product(attend::apply(qkv.view({places, -1, std::int64_t{shape.head_dim}}), in), l.out);
    x = x + product(swiglu::apply(product(rms_norm::apply(x, l.norm2, shape.norm_eps, products), l.gate_up)), l.down);
  }
  return product(rms_norm::apply(x, final_norm, shape.norm_eps, products), embedding);
}

net::net(const net_shape& shape, std::uint64_t seed, product_type products) : impl_(std::make_unique<impl>()) {
  impl_->shape = shape;
  impl_->products = products == product_type::bf16 ? at::kBFloat16 : at::kFloat;
  impl_->describe_all();
  impl_->make_leaves();
  impl_->draw_weights(seed);
}

net::~net() = default;

const net_shape& net::shape() const { return impl_->shape; }

const std::vector<parameter>& net::parameters() const { return impl_->parameters; }

std::span<float> net::weights() {
  return {impl_->flat.data_ptr<float>(), static_cast<std::size_t>(impl_->flat.numel())};
}

std::span<const float> net::gradients() const {
  return {impl_->flat_gradient.const_data_ptr<float>(), static_cast<std::size_t>(impl_->flat_gradient.numel())};
}

step_loss net::forward_backward(const packed_batch& batch) {
  impl_->flat_gradient.zero_();
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
