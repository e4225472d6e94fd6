#include "models/torch/layer_impl.hpp"

#include <algorithm>

namespace virga::models::torch_impl {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return at::rms_norm(x, {x.size(-1)}, weight, eps);
}

layer::layer(weight_loader& load, const hf::model_config& c, std::uint32_t index)
    : shape_{c.num_attention_heads, c.num_key_value_heads, c.head_dim}, eps_(c.rms_norm_eps), window_(c.window(index)) {
  auto at = "model.layers." + std::to_string(index) + ".";
  attention_norm_ = load.vector(at + "input_layernorm.weight");
  mlp_norm_ = load.vector(at + "post_attention_layernorm.weight");
  if (c.qk_norm) {
    q_norm_ = load.vector(at + "self_attn.q_norm.weight");
    k_norm_ = load.vector(at + "self_attn.k_norm.weight");
  }
  qkv_ = load.stacked({at + "self_attn.q_proj", at + "self_attn.k_proj", at + "self_attn.v_proj"}, c.qkv_bias);
  o_ = load.stacked({at + "self_attn.o_proj"}, c.o_bias);
  gate_up_ = load.stacked({at + "mlp.gate_proj", at + "mlp.up_proj"}, c.mlp_bias);
  down_ = load.stacked({at + "mlp.down_proj"}, c.mlp_bias);
  gather();
}

layer::layer(weight_loader& load, const hf::model_config& c)
    : shape_{c.num_attention_heads, c.num_key_value_heads, c.head_dim}, eps_(c.rms_norm_eps), window_(0),
      attention_norm_(load.vector("input_layernorm.weight")), output_norm_(load.vector("norm.weight")),
      qkv_(load.stacked({"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, false)),
      o_(load.stacked({"self_attn.o_proj"}, false)) {
  gather();
}

void layer::gather() {
  packed_ = {attention_norm_, q_norm_, k_norm_, qkv_.weight, qkv_.bias, o_.weight, o_.bias, mlp_norm_,
             gate_up_.weight, gate_up_.bias, down_.weight, down_.bias, output_norm_};
}

void layer::run(at::Tensor& x, const row_places& at, at::TensorList pages, at::Tensor& scratch) const {
  decoder_layer(x, packed_,
                {qkv_.shape.type, shape_.heads, shape_.kv_heads, shape_.dim, gate_up_.shape.outputs / 2, eps_}, at,
                pages, scratch);
}

void layer::run(at::Tensor& x, const std::vector<span_of_rows>& segments,
                const std::vector<std::vector<at::Tensor>>& pages, const turns& turn) const {
  run(x, turn, [&](const at::Tensor& qkv, std::int64_t) { return over_pages(qkv, segments, pages); });
}

void layer::run(at::Tensor& x, const turns& turn, attention attend) const {
  x.add_(o_.times(attend(queries_keys_values(rms_norm(x, attention_norm_, eps_), turn), window_)));
  if (output_norm_.defined()) {
    x.copy_(rms_norm(x, output_norm_, eps_));
    return;
  }
  auto both = gate_up_.times(rms_norm(x, mlp_norm_, eps_));
  auto width = both.size(1) / 2;
  x.add_(down_.times(at::silu(both.narrow(1, 0, width)).mul_(both.narrow(1, width, width))));
}

at::Tensor layer::queries_keys_values(const at::Tensor& x, const turns& turn) const {
  auto& s = shape_;
  auto qkv = qkv_.times(x).view({x.size(0), s.heads + 2 * s.kv_heads, s.dim});
  if (q_norm_.defined()) {
    auto q = qkv.narrow(1, 0, s.heads), k = qkv.narrow(1, s.heads, s.kv_heads);
    q.copy_(rms_norm(q, q_norm_, eps_));
    k.copy_(rms_norm(k, k_norm_, eps_));
  }
  rotate(qkv.narrow(1, 0, s.heads + s.kv_heads), turn);
  return qkv;
}

at::Tensor layer::over_pages(const at::Tensor& qkv, const std::vector<span_of_rows>& segments,
                             const std::vector<std::vector<at::Tensor>>& pages) const {
  auto& s = shape_;
  std::vector<at::Tensor> out;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    auto& r = segments[i];
    auto rows = qkv.narrow(0, r.first, r.count);
    auto kv = rows.narrow(1, s.heads, 2 * s.kv_heads).unflatten(1, {2, s.kv_heads}).permute({1, 2, 0, 3});
    store(kv, r.base, pages[i]);
    out.push_back(attend(rows.narrow(1, 0, s.heads), pages[i], r.blocks_for(window_), s));
  }
  return out.size() == 1 ? out.front() : at::cat(out, 0);
}

} // namespace virga::models::torch_impl
