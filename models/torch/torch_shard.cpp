#include "models/hf/weight_check.hpp"
#include "models/paged_shard.hpp"
#include "models/rotary.hpp"
#include "models/torch/answer_impl.hpp"
#include "models/torch/device_shard.hpp"
#include "models/torch/linear_impl.hpp"
#include "models/torch/packed_group_impl.hpp"
#include "models/torch/shard_pages_impl.hpp"
#include "models/torch/stage_weights_impl.hpp"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

namespace virga::models {

namespace {

using namespace torch_impl;

/// Segments that run through the same stages, and their rows on the way.
struct group {
  std::span<const segment> batch;
  const std::vector<std::size_t>& members;
  std::uint32_t first = 0, last = 0;  ///< stages
  std::int64_t total = 0;             ///< rows
  std::vector<span_of_rows> spans;    ///< by member
  at::Tensor x;                       ///< [total, hidden]
  std::optional<packed_group> packed;  ///< with packed weights
  turns angles;                        ///< else

  const segment& of(std::size_t k) const { return batch[members[k]]; }
  at::Tensor rows(std::size_t k) const {
    return spans[k].count == x.size(0) ? x : x.narrow(0, spans[k].first, spans[k].count);
  }
};

class torch_shard final : public paged_shard {
public:
  torch_shard(const hf::model_folder& folder, const shard_options& options)
      : paged_shard(folder, options), pending_(folder.pending()), config_(folder.config()),
        type_(options.compute == dtype::f64 ? at::kDouble : at::kFloat), packed_(types_for(folder, options).packed),
        weights_(load(folder, options)), rotary_(config_), pages_(layout(), stored_type(), packed_) {}

private:
  stage_weights load(const hf::model_folder& folder, const shard_options& options) const {
    c10::InferenceMode guard;
    return {folder, options, info().stages, types_for(folder, options)};
  }

  at::ScalarType stored_type() const {
    return info().kv == dtype::bf16 ? at::kBFloat16 : info().kv == dtype::i8_rows ? at::kByte : type_;
  }

  std::vector<segment_result> run(std::span<const segment> batch) override {
    c10::InferenceMode guard;
    if (pending_)
      pending_->wait();
    pending_.reset();
    std::vector<segment_result> out(batch.size());
    for (auto& [stages, members] : groups_of(batch)) {
      group g{batch, members, stages.first, stages.second, 0, {}, {}, {}, {}};
      run_group(g, out);
    }
    return out;
  }

  void run_group(group& g, std::vector<segment_result>& out) {
    place(g);
    g.x = input(g);
    for (auto i = g.first; i <= g.last; ++i) {
      for (auto l = first_lane(i); l < first_lane(i + 1); ++l)
        packed_ ? run_packed(g, i, l) : run_layer(g, l);
      for (std::size_t k = 0; k < g.members.size(); ++k)
        if (auto& s = g.of(k); tapped(s) == i)
          out[g.members[k]].rows = to_tensor(pick(g.rows(k), s.want.rows));
    }
    if (info().stages[g.last].kind == stage_kind::head)
      decide(g, out);
  }

  void place(group& g) const {
    const bool has_kv = first_lane(g.first) < first_lane(g.last + 1);
    for (std::size_t k = 0; k < g.members.size(); ++k) {
      const auto base = static_cast<std::int64_t>(g.of(k).base), count = std::int64_t{row_count(g.of(k))};
      g.spans.push_back({g.total, count, base, {}});
      for (auto window : packed_ ? std::set<std::int64_t>{} : windows_of(g))  // our layers mask nothing
        g.spans.back().blocks.try_emplace(window, causal_blocks(base, count, window, type_));
      g.total += count;
    }
    if (has_kv && packed_)
      g.packed.emplace(g.spans, g.total, rotary_);
    else if (has_kv)
      g.angles = turns_of(g);
  }

  /// The windows of the layers in these stages.
  std::set<std::int64_t> windows_of(const group& g) const {
    std::set<std::int64_t> out;
    for (auto i = first_lane(g.first); i < first_lane(g.last + 1); ++i)
      out.insert(weights_.layers[i].window());
    return out;
  }

  at::Tensor input(const group& g) const {
    auto x = at::empty({g.total, std::int64_t{info().hidden}}, type_);
    auto row_bytes = info().hidden * size_of(info().compute);
    auto to = static_cast<std::byte*>(x.mutable_data_ptr());
    for (std::size_t k = 0; k < g.members.size(); ++k) {
      auto& s = g.of(k);
      auto at = to + static_cast<std::size_t>(g.spans[k].first) * row_bytes;
      if (s.tokens.empty())
        std::ranges::copy(s.rows.data, at);
      else if (packed_)
        weights_.embedding.rows(s.tokens, reinterpret_cast<float*>(at));
      else
        x.narrow(0, g.spans[k].first, g.spans[k].count)
            .copy_(weights_.embedding.rows({s.tokens.begin(), s.tokens.end()}, type_));
    }
    return x;
  }

  void run_layer(group& g, std::uint32_t l) {
    std::vector<std::vector<at::Tensor>> pages(g.members.size());
    for (std::size_t k = 0; k < g.members.size(); ++k)
      pages_.append(lane(g.of(k).seq, l), pages_of(g.spans[k]), pages[k]);
    weights_.layers[l].run(g.x, g.spans, pages, g.angles);
  }

  void run_packed(group& g, std::uint32_t stage_index, std::uint32_t l) {
    std::vector<at::Tensor> pages;
    for (std::size_t k = 0; k < g.members.size(); ++k)
      pages_.append(lane(g.of(k).seq, l), pages_of(g.spans[k]), pages);
    auto at = g.packed->places(weights_.layers[l].window());
    std::vector<span_of_rows> left;
    if (l + 1 == first_lane(g.last + 1))
      left = wanted_behind(g, stage_index);
    if (!left.empty())
      at.kept = last_rows(g.spans, left);
    weights_.layers[l].run(g.x, at, pages, scratch_);
    if (left.empty())
      return;
    g.x = g.x.narrow(0, 0, at.kept->numel());
    g.spans = std::move(left);
  }

  /// Behind the last layer only rows go on that somebody wants: the last ones of each segment.
  /// @returns them; none when all go on
  std::vector<span_of_rows> wanted_behind(const group& g, std::uint32_t stage_index) const {
    std::vector<span_of_rows> out;
    std::int64_t total = 0;
    for (std::size_t k = 0; k < g.members.size(); ++k) {
      auto& s = g.of(k);
      auto& all = g.spans[k];
      const auto most = std::max(needed_rows(s.want), tapped(s) == stage_index ? s.want.rows : rows_wanted::none);
      const auto count = picked(most, all.count);
      out.push_back({total, count, all.base + all.count - count, {}});
      total += count;
    }
    return total == g.total ? std::vector<span_of_rows>{} : out;
  }

  turns turns_of(const group& g) const {
    auto half = std::int64_t{config_.head_dim} / 2;
    auto both = at::empty({2, g.total, half}, at::kDouble);
    std::span<double> cos(both.mutable_data_ptr<double>(), static_cast<std::size_t>(g.total * half));
    std::span<double> sin(cos.data() + cos.size(), cos.size());
    for (auto& r : g.spans)
      for (std::int64_t i = 0; i < r.count; ++i) {
        auto at = static_cast<std::size_t>((r.first + i) * half), n = static_cast<std::size_t>(half);
        rotary_.fill(static_cast<std::uint64_t>(r.base + i), cos.subspan(at, n), sin.subspan(at, n));
      }
    both = both.to(type_).unsqueeze(2);
    auto c = both.select(0, 0), s = both.select(0, 1);
    return {at::cat({c, c}, -1), at::cat({s.neg(), s}, -1)};
  }

  /// The head over the rows that anything wanted needs, all segments in one product.
  void decide(const group& g, std::vector<segment_result>& out) const {
    std::vector<at::Tensor> needed;
    for (std::size_t k = 0; k < g.members.size(); ++k)
      if (auto most = needed_rows(g.of(k).want); most != rows_wanted::none)
        needed.push_back(pick(g.rows(k), most));
    if (needed.empty())
      return;
    auto logits = logits_of(needed.size() == 1 ? needed.front() : at::cat(needed, 0), passes_adapter(g.of(0)));
    std::int64_t at = 0;
    for (std::size_t k = 0; k < g.members.size(); ++k) {
      auto& s = g.of(k);
      auto count = picked(needed_rows(s.want), g.spans[k].count);
      answer(s, s.base + row_count(s), count == logits.size(0) ? logits : logits.narrow(0, at, count),
             out[g.members[k]]);
      at += count;
    }
  }

  at::Tensor logits_of(at::Tensor rows, bool normed) const {
    if (!normed)
      rows = packed_ ? packed_rms_norm(rows, weights_.norm, config_.rms_norm_eps)
                     : rms_norm(rows, weights_.norm, config_.rms_norm_eps);
    return weights_.head.times_unrounded(rows);
  }

  void copy_page(const page_copy& c) override {
    c10::InferenceMode guard;
    pages_.copy(c);
  }

  void read_kv(page_id id, std::uint32_t first, std::uint32_t count, std::byte* to, float* scales) const override {
    c10::InferenceMode guard;
    pages_.read(id, first, count, to, scales);
  }

  void write_kv(page_id id, std::uint32_t first, std::uint32_t count, const std::byte* from,
                const float* scales) override {
    c10::InferenceMode guard;
    pages_.write(id, first, count, from, scales);
  }

  std::shared_ptr<const hf::pending_check> pending_;  ///< of a quantised folder, until it has succeeded
  hf::model_config config_;
  at::ScalarType type_;  ///< of rows and logits
  bool packed_;          ///< weights for our kernels
  stage_weights weights_;
  rotary rotary_;
  shard_pages pages_;
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
