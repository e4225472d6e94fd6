#include "models/train/adapter_features.hpp"

#include "models/defaults.hpp"
#include "models/hf/convert.hpp"
#include "models/memory.hpp"
#include "models/train/fused.hpp"

#include <algorithm>
#include <cstring>

namespace virga::models::train {

namespace {

constexpr std::uint32_t below_last = 1, above = 2;  ///< stages of the cut model

std::unique_ptr<shard> load_cut(const hf::model_folder& base, std::uint32_t split, std::uint64_t positions,
                                dtype compute, const load_progress& progress) {
  auto layers = base.config().num_hidden_layers;
  if (split < 1 || split >= layers)
    throw bad_model(
        "an adapter behind " + std::to_string(split) + " layers of " + base.dir().string()
        + " is not possible: the model has " + std::to_string(layers)
        + (layers > 1 ? ", so the split is 1 to " + std::to_string(layers - 1) : ", which cannot be split"));
  shard_options o;
  o.compute = compute;
  o.kv_bytes = positions * kv_bytes_per_token(base.config(), compute);
  o.stages = {{stage_kind::embedding, 0, 0}, {stage_kind::layers, 0, split}, {stage_kind::layers, split, layers},
              {stage_kind::head, 0, 0}};
  o.progress = progress;
  check_memory(base, o, static_cast<std::uint32_t>(positions));
  return make_torch_shard(base, o);
}

/// Rows [first, first + count) of a tensor in f32, behind those in `out`.
void append(std::vector<float>& out, const tensor& rows, std::size_t first, std::size_t count) {
  auto old = out.size();
  out.resize(old + count * rows.cols);
  std::memcpy(out.data() + old, rows.data.data() + first * rows.cols * sizeof(float),
              count * rows.cols * sizeof(float));
}

std::vector<segment> open_all(shard& model, std::span<const example> some) {
  std::vector<segment> batch;
  for (auto& e : some) {
    segment s;
    s.seq = model.open();
    s.last_stage = below_last;
    s.tokens = e.ids;
    s.want.rows = rows_wanted::all;
    batch.push_back(std::move(s));
  }
  return batch;
}

/// The same sequences through the stages above, with the rows that came from below.
std::vector<segment> go_on(const std::vector<segment>& below, const std::vector<segment_result>& rows) {
  auto batch = below;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    batch[i].first_stage = batch[i].last_stage = above;
    batch[i].tokens.clear();
    batch[i].rows = rows[i].rows;
  }
  return batch;
}

} // namespace

std::uint64_t whole_pages(std::uint64_t positions) {
  constexpr std::uint64_t page = defaults::kv_page_positions;
  return (positions + page - 1) / page * page;
}

adapter_features::adapter_features(const hf::model_folder& base, std::uint32_t split, std::uint64_t positions,
                                   dtype compute, const load_progress& progress)
    : model_(load_cut(base, split, whole_pages(positions), compute, progress)), positions_(whole_pages(positions)),
      norm_(hf::to_reals<float>(base.weight("model.norm.weight"))), norm_eps_(base.config().rms_norm_eps) {}

adapter_batch adapter_features::of(std::span<const example> examples) {
  adapter_batch out;
  while (!examples.empty()) {
    std::size_t count = 1;
    for (auto used = whole_pages(examples[0].ids.size()); count < examples.size(); ++count)
      if (used += whole_pages(examples[count].ids.size()); used > positions_)
        break;
    add(examples.first(count), out);
    examples = examples.subspan(count);
  }
  return out;
}

void adapter_features::add(std::span<const example> some, adapter_batch& out) {
  auto hidden = std::size_t{model_->info().hidden};
  auto segments = open_all(*model_, some);
  auto below = model_->step(segments);
  auto last = model_->step(go_on(segments, below));
  std::vector<float> deep;
  for (std::size_t i = 0; i < some.size(); ++i) {
    auto first = out.x.size() / hidden, length = some[i].ids.size(), answer = some[i].answer;
    out.examples.push_back({static_cast<std::int64_t>(first), static_cast<std::int64_t>(length)});
    for (auto at = answer - 1; at + 1 < length; ++at)
      out.counted.push_back(static_cast<std::int64_t>(first + at));
    append(out.x, below[i].rows, 0, length);
    append(deep, last[i].rows, answer - 1, length - answer);
    model_->close(segments[i].seq);
  }
  auto count = deep.size() / hidden, old = out.y.size();
  std::vector<float> inverse(count);
  out.y.resize(old + deep.size());
  fused::rms_norm(deep.data(), norm_.data(), norm_eps_, static_cast<std::int64_t>(count),
                  static_cast<std::int64_t>(hidden), out.y.data() + old, inverse.data());
}

} // namespace virga::models::train
