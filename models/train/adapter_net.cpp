#include "models/train/adapter_net.hpp"

#include "models/hf/convert.hpp"
#include "models/rotary.hpp"
#include "models/train/leaves_impl.hpp"
#include "models/train/operations_impl.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace virga::models::train {

namespace {

/// Numbers of one array of logits: 64 MiB.
constexpr std::int64_t block_numbers = 1 << 24;

at::Tensor view_of(const std::vector<float>& rows, std::int64_t width) {
  auto count = static_cast<std::int64_t>(rows.size()) / width;
  return at::from_blob(const_cast<float*>(rows.data()), {count, width}, at::kFloat);
}

double total_of(const at::Tensor& t) { return at::sum(t, at::kDouble).item<double>(); }

/// Sums of the parts of the loss over one block of places.
struct sums {
  double hidden = 0, tokens = 0, agreed = 0;
};

} // namespace

struct adapter_net::impl {
  hf::model_config config;
  rotary turns;
  leaves flat;
  at::Tensor in_norm, qkv, o, out_norm;
  std::vector<float> head_values;
  at::Tensor head;              ///< [vocab, hidden], lies in head_values
  std::vector<float> cos, sin;  ///< by position, [positions, head_dim / 2]

  explicit impl(const hf::model_folder& base)
      : config(base.config()), turns(config),
        head_values(hf::to_reals<float>(
            base.weight(config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight"))),
        head(view_of(head_values, config.hidden_size)) {
    const std::uint64_t h = config.hidden_size, dim = config.head_dim;
    const auto q = config.num_attention_heads * dim, kv = config.num_key_value_heads * dim;
    flat.describe("input_layernorm.weight", {h});
    flat.describe("self_attn.q_proj.weight", {q, h});
    flat.describe("self_attn.k_proj.weight", {kv, h});
    flat.describe("self_attn.v_proj.weight", {kv, h});
    flat.describe("self_attn.o_proj.weight", {h, q});
    flat.describe("norm.weight", {h});
    flat.allocate();
    in_norm = flat.take(1);
    qkv = flat.take(3);
    o = flat.take(1);
    out_norm = flat.take(1);
  }

  std::int64_t hidden() const { return config.hidden_size; }

  void fill_angles(std::int64_t positions) {
    auto half = std::size_t{config.head_dim} / 2, have = cos.size() / half, need = static_cast<std::size_t>(positions);
    cos.resize(std::max(have, need) * half);
    sin.resize(cos.size());
    for (auto p = have; p < need; ++p)
      turns.fill(p, std::span(cos).subspan(p * half, half), std::span(sin).subspan(p * half, half));
  }

  std::shared_ptr<layout> lay_out(const adapter_batch& batch) {
    auto in = std::make_shared<layout>();
    auto places = static_cast<std::int64_t>(batch.x.size()) / hidden(), half = std::int64_t{config.head_dim} / 2;
    in->shape = {places, config.num_attention_heads, config.num_key_value_heads, config.head_dim};
    in->examples = batch.examples;
    in->cos = at::zeros({places, half}, at::kFloat);
    in->sin = at::zeros({places, half}, at::kFloat);
    for (auto& e : batch.examples) {
      fill_angles(e.count);
      std::copy_n(cos.begin(), e.count * half, in->cos.data_ptr<float>() + e.first * half);
      std::copy_n(sin.begin(), e.count * half, in->sin.data_ptr<float>() + e.first * half);
    }
    return in;
  }

  at::Tensor forward(const adapter_batch& batch) {
    auto in = lay_out(batch);
    auto x = view_of(batch.x, hidden());
    auto both = at::linear(rms_norm(x, in_norm, config.rms_norm_eps, at::kFloat), qkv);
    auto mixed = attend(both.view({in->shape.places, -1, in->shape.dim}), in);
    return rms_norm(x + at::linear(mixed, o), out_norm, config.rms_norm_eps, at::kFloat);
  }

  /// z at the counted places.
  at::Tensor counted(const adapter_batch& batch) {
    return forward(batch).index_select(0, at::tensor(at::ArrayRef<std::int64_t>(batch.counted), at::kLong));
  }

  sums judge_block(const at::Tensor& z, const at::Tensor& y, const loss_weights& w, double places, at::Tensor dz) const;
  adapter_loss judge(const at::Tensor& z, const at::Tensor& y, const loss_weights& w, const at::Tensor& dz) const;
};

/// The gradient by z is written down directly: of the cross-entropy it is softmax minus target, through the head.
sums adapter_net::impl::judge_block(const at::Tensor& z, const at::Tensor& y, const loss_weights& w, double places,
                                    at::Tensor dz) const {
  auto p = at::softmax(at::linear(y, head), 1);
  auto log_q = at::log_softmax(at::linear(z, head), 1);
  auto away = z - y, far = away.abs();
  auto smooth = at::where(far < 1, away.square().mul_(0.5), far - 0.5);
  sums s{total_of(smooth) / static_cast<double>(hidden()), -total_of(p * log_q),
         total_of(p.argmax(1).eq(log_q.argmax(1)))};
  if (dz.defined()) {
    at::mm_out(dz, log_q.exp_().sub_(p), head);
    dz.mul_(w.tokens / places).add_(away.clamp_(-1, 1), w.hidden / static_cast<double>(hidden()) / places);
  }
  return s;
}

adapter_loss adapter_net::impl::judge(const at::Tensor& z, const at::Tensor& y, const loss_weights& w,
                                      const at::Tensor& dz) const {
  auto places = z.size(0), block = std::max<std::int64_t>(1, block_numbers / head.size(0));
  auto total = static_cast<double>(places);
  adapter_loss out;
  for (std::int64_t first = 0; first < places; first += block) {
    auto n = std::min(block, places - first);
    auto s = judge_block(z.narrow(0, first, n), y.narrow(0, first, n), w, total,
                         dz.defined() ? dz.narrow(0, first, n) : at::Tensor{});
    out.hidden += s.hidden / total;
    out.tokens += s.tokens / total;
    out.agreement += s.agreed / total;
  }
  out.total = w.hidden * out.hidden + w.tokens * out.tokens;
  return out;
}

adapter_net::adapter_net(const hf::model_folder& base, std::uint64_t seed) : impl_(std::make_unique<impl>(base)) {
  impl_->flat.draw(seed, [](const parameter& p) {
    auto deviation = 0.5 / std::sqrt(static_cast<double>(p.shape.back()));
    return p.name == "self_attn.o_proj.weight" ? deviation / std::sqrt(2.0) : deviation;
  });
  auto norm = hf::to_reals<float>(base.weight("model.norm.weight"));
  std::copy(norm.begin(), norm.end(), weights().end() - static_cast<std::ptrdiff_t>(norm.size()));
}

adapter_net::~adapter_net() = default;

const std::vector<parameter>& adapter_net::parameters() const { return impl_->flat.parameters(); }

std::span<float> adapter_net::weights() { return impl_->flat.weights(); }

std::span<const float> adapter_net::gradients() const { return impl_->flat.gradients(); }

std::vector<float> adapter_net::forward(const adapter_batch& batch) {
  const at::NoGradGuard no_gradient;
  auto z = impl_->forward(batch);
  return {z.const_data_ptr<float>(), z.const_data_ptr<float>() + z.numel()};
}

adapter_loss adapter_net::loss(const adapter_batch& batch, const loss_weights& w) {
  const at::NoGradGuard no_gradient;
  return impl_->judge(impl_->counted(batch), view_of(batch.y, impl_->hidden()), w, {});
}

adapter_loss adapter_net::forward_backward(const adapter_batch& batch, const loss_weights& w) {
  impl_->flat.clear_gradients();
  auto z = impl_->counted(batch);
  auto dz = at::empty_like(z.detach());
  adapter_loss out;
  {
    const at::NoGradGuard no_gradient;
    out = impl_->judge(z.detach(), view_of(batch.y, impl_->hidden()), w, dz);
  }
  z.backward(dz);
  return out;
}

} // namespace virga::models::train
