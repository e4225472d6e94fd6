#include "models/torch/device_model_impl.hpp"

#include <algorithm>

namespace virga::models::torch_impl {

device_model::device_model(const hf::model_folder& folder, const shard_options& options, device_layout layout)
    : layout_(std::move(layout)),
      config_(folder.config()), heads_{config_.num_attention_heads, config_.num_key_value_heads, config_.head_dim},
      weights_(folder, options, layout_.stages, {layout_.type, options.compute, false, layout_.device}),
      kv_(layout_.pages, heads_, kv_type(options) == dtype::bf16 ? at::kBFloat16 : layout_.type,
          layout_.device) {
  const rotary turn(config_);
  amplitude_ = turn.amplitude();
  auto f = turn.frequencies();
  frequencies_ = at::tensor(at::ArrayRef<double>(f.data(), f.size()), at::kDouble).to(layout_.device);
}

step_output device_model::forward(const step_shape& s, const at::Tensor& numbers, const at::Tensor& rows) {
  const step_numbers n(s, numbers);
  auto x = takes_tokens(s) ? weights_.embedding.weight.index_select(0, n.tokens).to(layout_.type) : rows.clone();
  auto turn = s.lanes > 0 ? turns_of(n.positions) : turns{};
  std::map<std::int64_t, part_masks> masks;
  step_output out;
  for (auto i = s.first_stage; i <= s.last_stage; ++i) {
    for (auto lane = layout_.first_lanes[i]; lane < layout_.first_lanes[i + 1]; ++lane)
      run_layer(x, lane, s, n, turn, masks);
    if (std::ranges::binary_search(s.taps, i))
      out.rows.push_back(x.clone());
  }
  if (s.scored > 0)
    out.logits = score(s.scored == s.rows ? x : x.index_select(0, n.scored), s);
  return out;
}

void device_model::run_layer(at::Tensor& x, std::uint32_t lane, const step_shape& s, const step_numbers& n,
                             const turns& turn, std::map<std::int64_t, part_masks>& masks) {
  auto& one = weights_.layers[lane];
  auto of_step = std::int64_t{lane} - layout_.first_lanes[s.first_stage];
  one.run(x, turn, [&](const at::Tensor& qkv, std::int64_t window) {
    kv_.write(qkv.narrow(1, heads_.heads, 2 * heads_.kv_heads), n.writes.select(0, of_step));
    auto at = masks.find(window);
    if (at == masks.end())
      at = masks.emplace(window, masks_for(n.positions, s.parts, heads_, window, kv_.type())).first;
    return kv_.attend(qkv.narrow(1, 0, heads_.heads), n.tables.select(0, of_step), s.parts, at->second);
  });
}

turns device_model::turns_of(const at::Tensor& positions) const {
  auto angle = positions.to(at::kDouble).unsqueeze(1).mul(frequencies_).unsqueeze(1);
  auto c = angle.cos().mul_(amplitude_).to(layout_.type), s = angle.sin().mul_(amplitude_).to(layout_.type);
  return {at::cat({c, c}, -1), at::cat({s.neg(), s}, -1)};
}

/// Rows that come from an adapter have its norm.
at::Tensor device_model::score(const at::Tensor& rows, const step_shape& s) const {
  auto from = layout_.stages.begin() + s.first_stage, head = layout_.stages.begin() + s.last_stage;
  bool normed = std::any_of(from, head, [](const stage& one) { return one.kind == stage_kind::adapter; });
  return weights_.head.times_unrounded(normed ? rows : rms_norm(rows, weights_.norm, config_.rms_norm_eps));
}

} // namespace virga::models::torch_impl
