#include "models/torch/device_shard.hpp"

#include "models/defaults.hpp"
#include "models/hf/weight_check.hpp"
#include "models/memory.hpp"
#include "models/paged_shard.hpp"
#include "models/torch/answer_impl.hpp"
#include "models/torch/device_impl.hpp"
#include "models/torch/device_model_impl.hpp"

#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace virga::models {

namespace {

using namespace torch_impl;

class device_shard final : public paged_shard {
public:
  device_shard(const hf::model_folder& folder, const shard_options& options, bool graphs, device_counts* counts)
      : paged_shard(folder, options), device_(device_named(options.device)), stream_(new_stream(device_)),
        type_(options.compute == dtype::f64 ? at::kDouble : at::kFloat), model_(load(folder, options)),
        replays_(device_, graphs ? make_recorder(device_) : nullptr, defaults::device_graphs), counts_(counts) {
    stream_.synchronize();
    if (auto& check = folder.pending())
      check->wait();
  }

private:
  /// Every entry from outside: its stream, its device, no gradients.
  struct on_device {
    explicit on_device(const device_shard& s) : stream(s.stream_) {}
    c10::InferenceMode mode;
    c10::StreamGuard stream;
  };

  device_model load(const hf::model_folder& folder, const shard_options& options) const {
    on_device here(*this);
    device_layout l{info().stages, {}, 0, type_, device_};
    for (std::uint32_t i = 0; i <= l.stages.size(); ++i)
      l.first_lanes.push_back(first_lane(i));
    if (auto lanes = l.first_lanes.back(); lanes > 0)
      l.pages = static_cast<std::int64_t>(options.kv_bytes / (kv_bytes_for(1) / lanes));
    return {folder, options, std::move(l)};
  }

  std::vector<segment_result> run(std::span<const segment> batch) override {
    on_device here(*this);
    try {
      std::vector<segment_result> out(batch.size());
      for (auto& [stages, members] : groups_of(batch))
        run_group(batch, members, out);
      return out;
    } catch (...) {
      end_if_lost(stream_);
      clear_behind(batch);
      throw;
    }
  }

  void run_group(std::span<const segment> batch, const std::vector<std::size_t>& members,
                 std::vector<segment_result>& out) {
    const auto& one = batch[members.front()];
    const auto lane_of = [this](sequence seq, std::uint32_t i) -> const lane_kv& { return lane(seq, i); };
    const auto tapped_of = [this](const segment& s) { return tapped(s); };
    const auto& kv = model_.kv();
    const step_plan plan(batch, members,
                         {info().stages, first_lane(one.first_stage), first_lane(one.last_stage + 1), lane_of,
                          tapped_of, kv.page_bytes(), kv.zero_page(), kv.trash_slot()});
    if (!plan.fresh_pages().empty())
      model_.kv().clear(to_device(plan.fresh_pages(), device_));
    auto numbers = host_room({plan.shape().numbers()}, at::kLong, device_);
    std::ranges::copy(plan.numbers(), numbers.mutable_data_ptr<std::int64_t>());
    take(plan, batch, run_plan(plan, numbers, input(plan, batch)), out);
  }

  step_output run_plan(const step_plan& plan, const at::Tensor& numbers, const at::Tensor& rows) {
    auto& shape = plan.shape();
    auto out = plan.repeatable() ? replays_.run(shape, numbers, rows,
                                                [this, shape](auto& n, auto& r) { return model_.forward(shape, n, r); })
                                 : model_.forward(shape, numbers.to(device_, at::kLong, true),
                                                  rows.defined() ? rows.to(device_, type_, true) : rows);
    if (counts_) {
      ++(plan.repeatable() ? counts_->repeated : counts_->ragged);
      counts_->graphs = replays_.recorded();
    }
    return out;
  }

  /// Hidden rows that come in, on the host; undefined where tokens do.
  at::Tensor input(const step_plan& plan, std::span<const segment> batch) const {
    if (model_.takes_tokens(plan.shape()))
      return {};
    auto out = host_room({plan.shape().rows, std::int64_t{info().hidden}}, type_, device_);
    auto* to = static_cast<std::byte*>(out.mutable_data_ptr());
    auto row_bytes = info().hidden * size_of(info().compute);
    std::memset(to, 0, out.nbytes());
    for (auto& p : plan.segments())
      std::ranges::copy(batch[p.index].rows.data, to + static_cast<std::size_t>(p.first) * row_bytes);
    return out;
  }

  /// Brings to the host what was wanted, all of it before the one wait, and answers.
  void take(const step_plan& plan, std::span<const segment> batch, const step_output& from,
            std::vector<segment_result>& out) {
    std::vector<std::pair<at::Tensor, at::Tensor>> found;
    auto& taps = plan.shape().taps;
    for (auto& p : plan.segments()) {
      auto& s = batch[p.index];
      auto& [rows, logits] = found.emplace_back();
      if (auto at = std::ranges::find(taps, tapped(s)); at != taps.end()) {
        auto& all = from.rows[static_cast<std::size_t>(at - taps.begin())];
        rows = to_host(pick(all.narrow(0, p.first, p.count), s.want.rows));
      }
      if (p.scores > 0)
        logits = to_host(from.logits.narrow(0, p.scores_at, p.scores));
    }
    stream_.synchronize();
    for (std::size_t k = 0; k < found.size(); ++k) {
      auto& p = plan.segments()[k];
      auto& s = batch[p.index];
      if (found[k].first.defined())
        out[p.index].rows = to_tensor(found[k].first);
      if (found[k].second.defined())
        answer(s, s.base + static_cast<std::uint64_t>(p.count), found[k].second, out[p.index]);
    }
  }

  /// After a failed step: what it wrote behind the lengths may not be finite, and masks do not hide that.
  void clear_behind(std::span<const segment> batch) {
    for (auto& s : batch)
      if (auto kept = static_cast<std::uint32_t>(s.base % defaults::kv_page_positions); kept > 0)
        for (auto l = first_lane(s.first_stage); l < first_lane(s.last_stage + 1); ++l)
          model_.kv().clear(lane(s.seq, l).pages[s.base / defaults::kv_page_positions], kept);
  }

  void copy_page(const page_copy& c) override {
    on_device here(*this);
    model_.kv().copy(c);
  }

  /// No scales: bytes are refused before.
  void read_kv(page_id id, std::uint32_t first, std::uint32_t count, std::byte* to, float*) const override {
    on_device here(*this);
    auto rows = to_host(model_.kv().rows(id, first, count));
    stream_.synchronize();
    std::memcpy(to, rows.const_data_ptr(), rows.nbytes());
  }

  /// Nothing stands behind them yet.
  void write_kv(page_id id, std::uint32_t first, std::uint32_t count, const std::byte* from,
                const float*) override {
    on_device here(*this);
    auto to = model_.kv().rows(id, first, count);
    auto rows = host_room(to.sizes(), to.scalar_type(), device_);
    std::memcpy(rows.mutable_data_ptr(), from, rows.nbytes());
    to.copy_(rows, true);
    if (first + count < defaults::kv_page_positions)
      model_.kv().clear(id, first + count);
  }

  at::Device device_;
  c10::Stream stream_;
  at::ScalarType type_;  ///< of rows and logits
  device_model model_;
  replays replays_;
  device_counts* counts_;
};

} // namespace

std::unique_ptr<shard> make_device_shard(const hf::model_folder& folder, const shard_options& options, bool graphs,
                                         device_counts* counts) {
  constexpr std::array known{dtype::f64, dtype::f32, dtype::bf16};
  if (std::ranges::find(known, options.compute) == known.end())
    throw bad_model("device " + options.device + " computes in bf16, f32 or f64, not in "
                    + std::string(to_string(options.compute)) + ": take dtype bf16, or device cpu");
  try {
    return std::make_unique<device_shard>(folder, options, graphs, counts);
  } catch (const c10::OutOfMemoryError&) {
    throw bad_model(folder.dir().string() + ": device " + options.device + " has no room for its weights and "
                    + bytes_text(options.kv_bytes) + " of KV: give it less KV or fewer layers, or take dtype bf16");
  }
}

} // namespace virga::models
