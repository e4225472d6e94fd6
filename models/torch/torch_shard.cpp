#include "models/defaults.hpp"
#include "models/hf/weight_check.hpp"
#include "models/paged_shard.hpp"
#include "models/rotary.hpp"
#include "models/torch/answer_impl.hpp"
#include "models/torch/device_shard.hpp"
#include "models/torch/stage_weights_impl.hpp"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

namespace virga::models {

namespace {

using namespace torch_impl;

class torch_shard final : public paged_shard {
public:
  torch_shard(const hf::model_folder& folder, const shard_options& options)
      : paged_shard(folder, options), pending_(folder.pending()), config_(folder.config()),
        type_(options.compute == dtype::f64 ? at::kDouble : at::kFloat),
        stored_(info().kv == dtype::bf16      ? at::kBFloat16
                : info().kv == dtype::i8_rows ? at::kByte
                                              : type_),
        packed_(types_for(folder, options).packed), weights_(load(folder, options)), rotary_(config_) {}

private:
  stage_weights load(const hf::model_folder& folder, const shard_options& options) const {
    c10::InferenceMode guard;
    return {folder, options, info().stages, types_for(folder, options)};
  }

  std::vector<segment_result> run(std::span<const segment> batch) override {
    c10::InferenceMode guard;
    if (pending_)
      pending_->wait();
    pending_.reset();
    std::vector<segment_result> out(batch.size());
    for (auto& [stages, members] : groups_of(batch))
      run_group(batch, members, stages.first, stages.second, out);
    return out;
  }

  void run_group(std::span<const segment> batch, const std::vector<std::size_t>& members, std::uint32_t first, std::uint32_t last,
                 std::vector<segment_result>& out) {
    std::vector<span_of_rows> spans;
    std::int64_t total = 0;
    for (auto i : members) {
      auto base = static_cast<std::int64_t>(batch[i].base), count = std::int64_t{row_count(batch[i])};
      spans.push_back({total, count, base, {}});
      for (auto window : packed_ ? std::set<std::int64_t>{} : windows_of(first, last))  // our layers mask nothing
        spans.back().blocks.try_emplace(window, causal_blocks(base, count, window, type_));
      total += count;
    }
    auto x = input(batch, members, spans, total);
    bool has_kv = first_lane(first) < first_lane(last + 1);
    auto turn = has_kv ? turns_of(spans, total) : turns{};
    for (auto i = first; i <= last; ++i) {
      run_layers(x, batch, members, spans, turn, i);
      for (std::size_t k = 0; k < members.size(); ++k)
        if (auto& s = batch[members[k]]; tapped(s) == i)
          out[members[k]].rows = to_tensor(pick(x.narrow(0, spans[k].first, spans[k].count), s.want.rows));
    }
    if (info().stages[last].kind == stage_kind::head)
      decide(x, batch, members, spans, out);
  }

  /// The windows of the layers in these stages.
  std::set<std::int64_t> windows_of(std::uint32_t first, std::uint32_t last) const {
    std::set<std::int64_t> out;
    for (auto i = first_lane(first); i < first_lane(last + 1); ++i)
      out.insert(weights_.layers[i].window());
    return out;
  }

  at::Tensor input(std::span<const segment> batch, const std::vector<std::size_t>& members, const std::vector<span_of_rows>& spans,
                   std::int64_t total) const {
    auto x = at::empty({total, std::int64_t{info().hidden}}, type_);
    auto row_bytes = info().hidden * size_of(info().compute);
    auto to = static_cast<std::byte*>(x.mutable_data_ptr());
    for (std::size_t k = 0; k < members.size(); ++k) {
      auto& s = batch[members[k]];
      auto at = to + static_cast<std::size_t>(spans[k].first) * row_bytes;
      std::ranges::copy(s.rows.data, at);
      if (s.tokens.empty())
        continue;
      x.narrow(0, spans[k].first, spans[k].count).copy_(weights_.embedding.rows({s.tokens.begin(), s.tokens.end()}, type_));
    }
    return x;
  }

  void run_layers(at::Tensor& x, std::span<const segment> batch, const std::vector<std::size_t>& members,
                  const std::vector<span_of_rows>& spans, const turns& turn, std::uint32_t stage_index) {
    std::vector<std::vector<at::Tensor>> pages(members.size());
    for (auto i = first_lane(stage_index); i < first_lane(stage_index + 1); ++i) {
      for (std::size_t k = 0; k < members.size(); ++k)
        pages[k] = pages_of(lane(batch[members[k]].seq, i));
      weights_.layers[i].run(x, spans, pages, turn, scratch_);
    }
  }

  turns turns_of(const std::vector<span_of_rows>& spans, std::int64_t total) const {
    auto half = std::int64_t{config_.head_dim} / 2;
    auto both = at::empty({2, total, half}, at::kDouble);
    std::span<double> cos(both.mutable_data_ptr<double>(), static_cast<std::size_t>(total * half));
    std::span<double> sin(cos.data() + cos.size(), cos.size());
    for (auto& r : spans)
      for (std::int64_t i = 0; i < r.count; ++i) {
        auto at = static_cast<std::size_t>((r.first + i) * half), n = static_cast<std::size_t>(half);
        rotary_.fill(static_cast<std::uint64_t>(r.base + i), cos.subspan(at, n), sin.subspan(at, n));
      }
    both = both.to(type_);
    if (packed_)
      return {{}, {}, both};
    both = both.unsqueeze(2);
    auto c = both.select(0, 0), s = both.select(0, 1);
    return {at::cat({c, c}, -1), at::cat({s.neg(), s}, -1), {}};
  }

  /// The head over the rows that anything wanted needs, all segments in one product.
  void decide(const at::Tensor& x, std::span<const segment> batch, const std::vector<std::size_t>& members,
              const std::vector<span_of_rows>& spans, std::vector<segment_result>& out) const {
    std::vector<at::Tensor> needed;
    for (std::size_t k = 0; k < members.size(); ++k)
      if (auto most = needed_rows(batch[members[k]].want); most != rows_wanted::none)
        needed.push_back(pick(x.narrow(0, spans[k].first, spans[k].count), most));
    if (needed.empty())
      return;
    auto rows = needed.size() == 1 ? needed.front() : at::cat(needed, 0);
    bool normed = passes_adapter(batch[members.front()]);
    auto logits = weights_.head.times_unrounded(normed ? rows : rms_norm(rows, weights_.norm, config_.rms_norm_eps));
    std::int64_t at = 0;
    for (std::size_t k = 0; k < members.size(); ++k) {
      auto& s = batch[members[k]];
      auto most = needed_rows(s.want);
      auto count = most == rows_wanted::all ? spans[k].count : most == rows_wanted::last ? 1 : 0;
      answer(s, s.base + static_cast<std::uint64_t>(spans[k].count), logits.narrow(0, at, count), out[members[k]]);
      at += count;
    }
  }

  const at::Tensor& page(page_id id) {
    if (pages_.size() <= id)
      pages_.resize(std::size_t{id} + 1);
    if (!pages_[id].defined() && info().kv == dtype::i8_rows)
      pages_[id] = at::empty({static_cast<std::int64_t>(layout().bytes())}, stored_);
    if (!pages_[id].defined())
      pages_[id] = at::empty({2, std::int64_t{config_.num_key_value_heads}, std::int64_t{defaults::kv_page_positions},
                              std::int64_t{config_.head_dim}}, stored_);
    return pages_[id];
  }

  std::vector<at::Tensor> pages_of(const lane_kv& l) {
    std::vector<at::Tensor> out;
    for (auto id : l.pages)
      out.push_back(page(id));
    return out;
  }

  void copy_page(const page_copy& c) override {
    c10::InferenceMode guard;
    auto to = page(c.to), from = page(c.from);
    if (packed_)
      to.copy_(from);
    else
      to.narrow(2, 0, c.positions).copy_(from.narrow(2, 0, c.positions));
  }

  /// Keys and values of some positions of a page of libtorch's own operators: [count, kv_heads, dim] each.
  static std::pair<at::Tensor, at::Tensor> rows_of(const at::Tensor& p, std::int64_t first, std::int64_t count) {
    return {p.select(0, 0).transpose(0, 1).narrow(0, first, count),
            p.select(0, 1).transpose(0, 1).narrow(0, first, count)};
  }

  /// Pages of our kernels and their rows: takes each number, number(page, row), and each scale, scale(page, row), to its
  /// place or back.
  template <class Number, class Move, class Scale>
  void each_number(std::byte* page, std::uint32_t first, std::uint32_t count, std::byte* rows, const Move& number,
                   const Scale& scale) const {
    auto* row = reinterpret_cast<Number*>(rows);
    for (std::uint32_t i = 0; i < count; ++i)
      for (std::uint32_t h = 0; h < 2 * layout().heads; ++h, row += layout().dim) {
        const auto position = first + i;
        const auto at = layout().place(h % layout().heads);
        const bool keys = h < layout().heads;
        auto* numbers = reinterpret_cast<Number*>(page + (keys ? at.keys : at.values));
        for (std::uint32_t d = 0; d < layout().dim; ++d)
          number(numbers[keys ? layout().key_at(position, d) : layout().value_at(position, d)], row[d]);
        if constexpr (sizeof(Number) == 1)
          scale(reinterpret_cast<float*>(page + (keys ? at.key_scales : at.value_scales))[position],
                i * 2 * layout().heads + h);
      }
  }

  template <class Move, class Scale>
  void each_number(const at::Tensor& page, std::uint32_t first, std::uint32_t count, std::byte* rows,
                   const Move& number, const Scale& scale) const {
    auto* p = static_cast<std::byte*>(page.mutable_data_ptr());
    switch (layout().type) {
      case dtype::i8_rows: return each_number<std::uint8_t>(p, first, count, rows, number, scale);
      case dtype::bf16: return each_number<std::uint16_t>(p, first, count, rows, number, scale);
      default: return each_number<std::uint32_t>(p, first, count, rows, number, scale);
    }
  }

  void read_kv(page_id id, std::uint32_t first, std::uint32_t count, std::byte* to, float* scales) const override {
    c10::InferenceMode guard;
    if (packed_)
      return each_number(pages_[id], first, count, to, [](auto& in_page, auto& in_row) { in_row = in_page; },
                         [&](float& in_page, std::uint32_t i) { scales[i] = in_page; });
    auto [keys, values] = rows_of(pages_[id], first, count);
    auto rows = at::stack({keys, values}, 1).cpu();
    std::memcpy(to, rows.const_data_ptr(), rows.nbytes());
  }

  void write_kv(page_id id, std::uint32_t first, std::uint32_t count, const std::byte* from,
                const float* scales) override {
    c10::InferenceMode guard;
    if (packed_)
      return each_number(page(id), first, count, const_cast<std::byte*>(from),
                         [](auto& in_page, auto& in_row) { in_page = in_row; },
                         [&](float& in_page, std::uint32_t i) { in_page = scales[i]; });
    auto [keys, values] = rows_of(page(id), first, count);
    auto rows = at::empty({std::int64_t{count}, 2, keys.size(1), keys.size(2)}, stored_);
    std::memcpy(rows.mutable_data_ptr(), from, rows.nbytes());
    keys.copy_(rows.select(1, 0));
    values.copy_(rows.select(1, 1));
  }

  std::shared_ptr<const hf::pending_check> pending_;  ///< of a quantised folder, until it has succeeded
  hf::model_config config_;
  at::ScalarType type_;    ///< of rows and logits
  at::ScalarType stored_;  ///< of KV
  bool packed_;            ///< weights for our kernels
  stage_weights weights_;
  rotary rotary_;
  std::vector<at::Tensor> pages_;
  at::Tensor scratch_ = at::empty({0}, at::kByte);
};

void check_kv(const hf::model_folder& folder, const shard_options& options) {
  const auto kv = kv_type(options);
  const bool known =
      options.compute == dtype::f64 ? kv == dtype::f64 : kv == dtype::f32 || kv == dtype::bf16 || kv == dtype::i8_rows;
  if (!known)
    throw bad_model(
        "beside " + std::string(to_string(options.compute)) + " weights the torch shard keeps keys and values in "
        + (options.compute == dtype::f64 ? "f64" : "f32, bf16 or bytes") + ", not in " + std::string(to_string(kv)));
  if (kv == dtype::i8_rows && (options.device != "cpu" || !types_for(folder, options).packed))
    throw bad_model("keys and values in bytes need our own kernels, which " + std::string(to_string(options.compute))
                    + " weights do not run on here: keep them in bf16, or take int8 weights");
}

} // namespace

std::unique_ptr<shard> make_torch_shard(const hf::model_folder& folder, const shard_options& options) {
  if (options.device != "cpu") {
    check_kv(folder, options);
    return make_device_shard(folder, options);
  }
  constexpr std::array known{dtype::f64, dtype::f32, dtype::bf16, dtype::int8, dtype::int4};
  if (std::ranges::find(known, options.compute) == known.end())
    throw bad_model("the torch shard computes in f64, f32, bf16, int8 or int4, not in " + std::string(to_string(options.compute)));
  check_kv(folder, options);
  return std::make_unique<torch_shard>(folder, options);
}

} // namespace virga::models
