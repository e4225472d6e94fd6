// models/reference/layer.hpp: one Llama decoder layer of the reference shard, or an adapter: such a layer without MLP, whose
// sum is normed.
#pragma once

#include "models/hf/adapter.hpp"
#include "models/reference/attention.hpp"
#include "models/reference/math.hpp"
#include "models/rotary.hpp"

#include <string>

namespace virga::models::reference {

template <class Real>
struct layer {
  std::vector<Real> attention_norm, mlp_norm;
  std::vector<Real> q_norm, k_norm;  ///< empty when heads are not normalised
  std::vector<Real> output_norm;     ///< of an adapter; empty: a decoder layer, with MLP
  matrix<Real> q, k, v, o, gate, up, down;
  std::size_t window = 0;  ///< positions that a query sees, its own included; 0: all
  double eps = 0;

  layer(const hf::model_folder& f, std::uint32_t index) : window(f.config().window(index)), eps(f.config().rms_norm_eps) {
    auto at = "model.layers." + std::to_string(index) + ".";
    auto& c = f.config();
    auto m = [&](const std::string& name, bool bias) {
      return matrix<Real>(f.weight(at + name + ".weight"), bias ? &f.weight(at + name + ".bias") : nullptr);
    };
    auto norm = [&](const char* name) { return hf::to_reals<Real>(f.weight(at + name + ".weight")); };
    attention_norm = norm("input_layernorm");
    mlp_norm = norm("post_attention_layernorm");
    if (c.qk_norm)
      q_norm = norm("self_attn.q_norm"), k_norm = norm("self_attn.k_norm");
    q = m("self_attn.q_proj", c.qkv_bias), k = m("self_attn.k_proj", c.qkv_bias), v = m("self_attn.v_proj", c.qkv_bias);
    o = m("self_attn.o_proj", c.o_bias);
    gate = m("mlp.gate_proj", c.mlp_bias), up = m("mlp.up_proj", c.mlp_bias), down = m("mlp.down_proj", c.mlp_bias);
  }

  layer(const hf::adapter_folder& f, double norm_eps)
      : attention_norm(hf::to_reals<Real>(f.weight("input_layernorm.weight"))),
        output_norm(hf::to_reals<Real>(f.weight("norm.weight"))), q(f.weight("self_attn.q_proj.weight")),
        k(f.weight("self_attn.k_proj.weight")), v(f.weight("self_attn.v_proj.weight")), o(f.weight("self_attn.o_proj.weight")),
        eps(norm_eps) {}
};

/// cos and sin of consecutive positions, [count, dim / 2] each.
template <class Real>
struct angles {
  std::vector<Real> cos, sin;
  std::size_t half;

  angles(const rotary& r, std::size_t dim, std::uint64_t base, std::size_t count)
      : cos(count * dim / 2), sin(count * dim / 2), half(dim / 2) {
    for (std::size_t i = 0; i < count; ++i)
      r.fill(base + i, std::span(cos).subspan(i * half, half), std::span(sin).subspan(i * half, half));
  }
};

/// x [count, hidden] at positions base.. -> what attention adds to it; writes the positions' keys and values.
template <class Real>
rows<Real> attention(const layer<Real>& w, const rows<Real>& x, const head_shape& s, const angles<Real>& turn,
                     std::uint64_t base, const std::vector<Real*>& pages) {
  auto q = w.q.times(x), k = w.k.times(x), v = w.v.times(x);
  if (!w.q_norm.empty())
    q = rms_norm(q, w.q_norm, w.eps), k = rms_norm(k, w.k_norm, w.eps);  // a row here is one head
  auto q_width = s.heads * s.dim, kv_width = s.kv_heads * s.dim, count = q.size() / q_width;
  rows<Real> out(q.size());
  for (std::size_t i = 0; i < count; ++i) {
    rotate(&q[i * q_width], s.heads, s.dim, &turn.cos[i * turn.half], &turn.sin[i * turn.half]);
    rotate(&k[i * kv_width], s.kv_heads, s.dim, &turn.cos[i * turn.half], &turn.sin[i * turn.half]);
    store(pages[(base + i) / defaults::kv_page_positions], base + i, &k[i * kv_width], &v[i * kv_width], s);
  }
  std::vector<const Real*> seen(pages.begin(), pages.end());
  for (std::size_t i = 0; i < count; ++i) {
    auto end = base + i + 1, begin = w.window > 0 && end > w.window ? end - w.window : 0;
    for (std::size_t h = 0; h < s.heads; ++h)
      attend(seen, begin, end, h * s.kv_heads / s.heads, s, &q[i * q_width + h * s.dim], &out[i * q_width + h * s.dim]);
  }
  return w.o.times(out);
}

/// x [count, hidden] -> what the SwiGLU block adds to it. Source: Shazeer 2020.
template <class Real>
rows<Real> mlp(const layer<Real>& w, const rows<Real>& x) {
  auto a = w.gate.times(x);
  swiglu(a, w.up.times(x));
  return w.down.times(a);
}

} // namespace virga::models::reference
