#include "models/paged_shard.hpp"

#include "models/hf/parts.hpp"
#include "models/sampler.hpp"
#include "models/wire_rows.hpp"

#include <algorithm>
#include <set>

namespace virga::models {

namespace {

shard_info make_info(const hf::model_folder& folder, const shard_options& options) {
  auto& c = folder.config();
  auto rows = options.compute == dtype::f64 ? dtype::f64 : dtype::f32;
  return {stages_for(folder, options), c.num_hidden_layers, c.hidden_size, c.vocab_size, c.max_position_embeddings,
          rows, options.compute, folder.digest(), kv_type(options)};
}

std::uint32_t lanes_of(const stage& s) {
  return s.kind == stage_kind::layers ? s.last - s.first : s.kind == stage_kind::adapter ? 1 : 0;
}

std::vector<std::uint32_t> lane_starts(const std::vector<stage>& stages) {
  std::vector<std::uint32_t> out{0};
  for (auto& s : stages)
    out.push_back(out.back() + lanes_of(s));
  return out;
}

/// Puts the adapter's stage between the layers it was trained behind and the head.
std::vector<stage> with_adapter(std::vector<stage> stages, const hf::model_folder& folder, const hf::adapter_folder& adapter) {
  adapter.check(folder);
  auto split = adapter.split();
  if (stages.size() < 3 || stages.front().kind != stage_kind::embedding || stages.back().kind != stage_kind::head
      || stages[stages.size() - 2].last != split)
    throw bad_model(adapter.dir().string() + ": the adapter stands between layer " + std::to_string(split - 1)
                    + " and the head, but the engine runs " + describe(stages));
  stages.insert(stages.end() - 1, {stage_kind::adapter, split, split});
  return stages;
}

kernels::page_layout layout_of(const hf::model_config& c, dtype kv) { return {kv, c.num_key_value_heads, c.head_dim}; }

} // namespace

std::vector<stage> stages_for(const hf::model_folder& folder, const shard_options& options) {
  if (options.stages.empty())
    return options.adapter ? with_adapter(folder.stages(), folder, *options.adapter) : folder.stages();
  hf::check_order(options.stages, folder.config().num_hidden_layers, "the stages to run");
  if (!hf::holds(folder.stages(), options.stages))
    throw bad_model(folder.dir().string() + ": holds " + describe(folder.stages()) + ", so "
                    + describe(options.stages) + " cannot be run from it");
  return options.adapter ? with_adapter(options.stages, folder, *options.adapter) : options.stages;
}

stage_groups groups_of(std::span<const segment> batch) {
  stage_groups out;
  for (std::size_t i = 0; i < batch.size(); ++i)
    out[{batch[i].first_stage, batch[i].last_stage}].push_back(i);
  return out;
}

paged_shard::paged_shard(const hf::model_folder& folder, const shard_options& options)
    : info_(make_info(folder, options)), layout_(layout_of(folder.config(), info_.kv)),
      lane_begin_(lane_starts(info_.stages)), kv_(lane_begin_.back(), layout_.bytes(), options.kv_bytes) {}

std::string shape_text(const tensor& t) {
  return std::string(to_string(t.type)) + " [" + std::to_string(t.rows) + ", " + std::to_string(t.cols) + "] in "
         + std::to_string(t.data.size()) + " bytes";
}

std::uint32_t paged_shard::row_count(const segment& s) {
  return s.rows.rows > 0 ? s.rows.rows : static_cast<std::uint32_t>(s.tokens.size());
}

std::uint64_t paged_shard::length(sequence seq, std::uint32_t stage_index) const {
  if (!kv_.knows(seq) || stage_index >= info_.stages.size())
    throw bad_segment("sequence " + std::to_string(static_cast<std::uint64_t>(seq)) + " or stage "
                      + std::to_string(stage_index) + " does not exist in this shard");
  bool has_kv = lane_begin_[stage_index] < lane_begin_[stage_index + 1];
  return has_kv ? kv_.lane(seq, lane_begin_[stage_index]).length : 0;
}

bool paged_shard::passes_adapter(const segment& s) const {
  auto first = info_.stages.begin() + s.first_stage, end = info_.stages.begin() + s.last_stage + 1;
  return std::any_of(first, end, [](const stage& one) { return one.kind == stage_kind::adapter; });
}

std::uint32_t paged_shard::tapped(const segment& s) const {
  if (s.want.rows == rows_wanted::none)
    return static_cast<std::uint32_t>(info_.stages.size());
  return s.want.rows_stage == last_stage_run ? s.last_stage : s.want.rows_stage;
}

std::vector<segment_result> paged_shard::step(std::span<const segment> batch) {
  std::set<sequence> seen;
  std::vector<kv_growth> growths;
  for (auto& s : batch) {
    check(s);
    if (!seen.insert(s.seq).second)
      throw bad_segment("two segments of one batch belong to the same sequence");
    growths.push_back({s.seq, lane_begin_[s.first_stage], lane_begin_[s.last_stage + 1], row_count(s)});
  }
  auto copies = kv_.reserve(growths);
  try {
    for (auto& c : copies)
      copy_page(c);
    auto results = run(batch);
    kv_.commit(growths);
    return results;
  } catch (...) {
    kv_.abandon(growths);
    throw;
  }
}

void paged_shard::check(const segment& s) const {
  if (!kv_.knows(s.seq))
    throw bad_segment("sequence " + std::to_string(static_cast<std::uint64_t>(s.seq)) + " is not open");
  if (s.first_stage > s.last_stage || s.last_stage >= info_.stages.size())
    throw bad_segment("the stages " + std::to_string(s.first_stage) + " to " + std::to_string(s.last_stage)
                      + " were asked for, but this shard has " + std::to_string(info_.stages.size()));
  check_input(s);
  check_wants(s);
  check_position(s);
}

void paged_shard::check_input(const segment& s) const {
  if (info_.stages[s.first_stage].kind == stage_kind::embedding) {
    if (s.tokens.empty() || s.rows.rows > 0 || !s.rows.data.empty())
      throw bad_segment("a segment that begins at the embedding takes tokens, at least one, and no rows");
    for (auto id : s.tokens)
      if (id >= info_.vocab)
        throw bad_segment("the token id " + std::to_string(id) + " is beyond the model's vocabulary of "
                          + std::to_string(info_.vocab));
    return;
  }
  auto& t = s.rows;
  if (!s.tokens.empty() || t.rows == 0 || t.cols != info_.hidden || t.type != info_.compute
      || t.data.size() != std::uint64_t{t.rows} * t.cols * size_of(t.type))
    throw bad_segment("the rows are " + shape_text(t) + ", but this stage takes "
                      + std::string(to_string(info_.compute)) + " [1 or more, " + std::to_string(info_.hidden)
                      + "] and no tokens");
  if (!all_finite(t))
    throw bad_segment("the rows contain NaN or infinity");
}

void paged_shard::check_position(const segment& s) const {
  auto count = row_count(s);
  if (s.base > info_.max_positions || count > info_.max_positions - s.base)
    throw bad_segment(std::to_string(count) + " positions from " + std::to_string(s.base)
                      + " on do not fit into the model's context of " + std::to_string(info_.max_positions));
  for (auto i = lane_begin_[s.first_stage]; i < lane_begin_[s.last_stage + 1]; ++i)
    if (auto have = kv_.lane(s.seq, i).length; have != s.base)
      throw stale_position(have, s.base);
}

void paged_shard::check_wants(const segment& s) const {
  bool head = info_.stages[s.last_stage].kind == stage_kind::head;
  auto& w = s.want;
  auto tap = tapped(s);
  if (w.rows != rows_wanted::none && (tap < s.first_stage || tap > s.last_stage))
    throw bad_segment("hidden rows are wanted behind stage " + std::to_string(tap) + ", but the segment runs the stages "
                      + std::to_string(s.first_stage) + " to " + std::to_string(s.last_stage));
  if (w.rows != rows_wanted::none && info_.stages[tap].kind == stage_kind::head)
    throw bad_segment("hidden rows are wanted of the head, which has none; name an earlier stage");
  if (!head && (w.logits != rows_wanted::none || w.tokens != rows_wanted::none))
    throw bad_segment("logits or tokens are wanted of a stage that is no head");
  if (auto wrong = complaint(w.choose, info_.vocab); !wrong.empty())
    throw bad_segment(wrong);
  if (w.choose.looks_back() && w.tokens != rows_wanted::none && w.context.size() != s.base + row_count(s))
    throw bad_segment("penalties need the " + std::to_string(s.base + row_count(s)) + " tokens before the choice; "
                      + std::to_string(w.context.size()) + " were given");
}

} // namespace virga::models
