#include "models/torch/layer_impl.hpp"

#include "models/defaults.hpp"
#include "models/hf/convert.hpp"

#include <cstring>

namespace virga::models::torch_impl {

namespace {

constexpr std::int64_t per_page = defaults::kv_page_positions;

/// x [total, heads, dim] in place.
void rotate(at::Tensor x, const turns& turn) {
  auto half = x.size(-1) / 2;
  auto swapped = at::cat({x.narrow(-1, half, half), x.narrow(-1, 0, half)}, -1);
  x.mul_(turn.cos).addcmul_(swapped, turn.sin);
}

/// Keys and values of consecutive positions, kv [2, kv_heads, count, dim], into their pages.
void store(const at::Tensor& kv, std::int64_t base, const std::vector<at::Tensor>& pages) {
  for (std::int64_t done = 0, count = kv.size(2); done < count;) {
    auto at = (base + done) % per_page, n = std::min(count - done, per_page - at);
    pages[static_cast<std::size_t>((base + done) / per_page)].narrow(2, at, n).copy_(kv.narrow(2, done, n));
    done += n;
  }
}

/// The first `length` positions, [2, kv_heads, length, dim]: a view where one page holds them.
at::Tensor gather(const std::vector<at::Tensor>& pages, std::int64_t length) {
  if (length <= per_page)
    return pages.front().narrow(2, 0, length);
  std::vector<at::Tensor> parts(pages.begin(), pages.begin() + (length + per_page - 1) / per_page);
  parts.back() = parts.back().narrow(2, 0, (length - 1) % per_page + 1);
  return at::cat(parts, 2);
}

/// q [count, heads, dim], kv [2, kv_heads, keys, dim] -> [count, heads * dim]. No mask: every key is seen.
at::Tensor attend(const at::Tensor& q, const at::Tensor& kv, const at::Tensor* mask, const head_shape& s) {
  auto count = q.size(0), keys = kv.size(2), group = s.heads / s.kv_heads;
  auto by_group = q.view({count, s.kv_heads, group, s.dim}).permute({1, 2, 0, 3});
  auto grouped = by_group.reshape({s.kv_heads, group * count, s.dim});
  auto score = at::bmm(grouped, kv.select(0, 0).transpose(1, 2)).mul_(1 / std::sqrt(static_cast<double>(s.dim)));
  if (mask)
    score.view({s.kv_heads * group, count, keys}).add_(*mask);
  auto out = at::bmm(at::_softmax(score, -1, false), kv.select(0, 1));
  return out.view({s.kv_heads, group, count, s.dim}).permute({2, 0, 1, 3}).reshape({count, s.heads * s.dim});
}

/// One segment, its queries in blocks.
at::Tensor attend(const at::Tensor& q, const at::Tensor& kv, const span_of_rows& r, const head_shape& s) {
  if (r.masks.empty())
    return attend(q, kv, nullptr, s);
  std::vector<at::Tensor> out;
  for (auto& mask : r.masks)
    out.push_back(attend(q.narrow(0, static_cast<std::int64_t>(out.size()) * query_rows, mask.size(0)),
                         kv.narrow(2, 0, mask.size(1)), &mask, s));
  return out.size() == 1 ? out.front() : at::cat(out, 0);
}

} // namespace

at::Tensor to_aten(const hf::tensor_view& t, at::ScalarType type) {
  std::vector<std::int64_t> shape(t.shape.begin(), t.shape.end());
  auto out = at::empty(shape, type);
  auto fill = [&](const auto& values) { std::memcpy(out.mutable_data_ptr(), values.data(), out.nbytes()); };
  if (type == at::kDouble)
    fill(hf::to_reals<double>(t));
  else
    fill(hf::to_reals<float>(t));
  return out;
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  auto scale = at::mean(x.square(), {-1}, true).add_(eps).rsqrt_();
  return x.mul(scale).mul_(weight);
}

std::vector<at::Tensor> causal_masks(std::int64_t base, std::int64_t count, at::ScalarType type) {
  std::vector<at::Tensor> out;
  for (std::int64_t first = 0; count > 1 && first < count; first += query_rows) {
    auto rows = std::min(query_rows, count - first);
    out.push_back(at::full({rows, base + first + rows}, -std::numeric_limits<double>::infinity(), type)
                    .triu_(base + first + 1));
  }
  return out;
}

layer::layer(const hf::model_folder& folder, std::uint32_t index, at::ScalarType type)
    : eps_(folder.config().rms_norm_eps) {
  auto& c = folder.config();
  shape_ = {c.num_attention_heads, c.num_key_value_heads, c.head_dim};
  auto prefix = "model.layers." + std::to_string(index) + ".";
  auto w = [&](const char* name) { return to_aten(folder.weight(prefix + name + ".weight"), type); };
  attention_norm_ = w("input_layernorm");
  qkv_ = at::cat({w("self_attn.q_proj"), w("self_attn.k_proj"), w("self_attn.v_proj")});
  o_ = w("self_attn.o_proj");
  mlp_norm_ = w("post_attention_layernorm");
  gate_up_ = at::cat({w("mlp.gate_proj"), w("mlp.up_proj")});
  down_ = w("mlp.down_proj");
}

void layer::run(at::Tensor& x, const std::vector<span_of_rows>& segments,
                const std::vector<std::vector<at::Tensor>>& pages, const turns& turn) const {
  x.add_(at::linear(attention(rms_norm(x, attention_norm_, eps_), segments, pages, turn), o_));
  auto both = at::linear(rms_norm(x, mlp_norm_, eps_), gate_up_);
  auto width = both.size(1) / 2;
  x.add_(at::linear(at::silu(both.narrow(1, 0, width)).mul_(both.narrow(1, width, width)), down_));
}

at::Tensor layer::attention(const at::Tensor& x, const std::vector<span_of_rows>& segments,
                            const std::vector<std::vector<at::Tensor>>& pages, const turns& turn) const {
  auto& s = shape_;
  auto qkv = at::linear(x, qkv_).view({x.size(0), s.heads + 2 * s.kv_heads, s.dim});
  rotate(qkv.narrow(1, 0, s.heads + s.kv_heads), turn);
  std::vector<at::Tensor> out;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    auto& r = segments[i];
    auto rows = qkv.narrow(0, r.first, r.count);
    auto kv = rows.narrow(1, s.heads, 2 * s.kv_heads).unflatten(1, {2, s.kv_heads}).permute({1, 2, 0, 3});
    store(kv, r.base, pages[i]);
    out.push_back(attend(rows.narrow(1, 0, s.heads), gather(pages[i], r.base + r.count), r, s));
  }
  return out.size() == 1 ? out.front() : at::cat(out, 0);
}

} // namespace virga::models::torch_impl
