// models/torch/step_plan_impl.hpp: a group of segments as numbers, so that a device can run it without asking back.
// Small steps (decoding, rounds of drafts) get one of few shapes: rows and pages are rounded up, every row attends
// alone. Such a step is a pure function of its numbers, which a CUDA graph can repeat. Private to models/torch.
#pragma once

#include "models/paged_shard.hpp"

#include <ATen/ATen.h>
#include <c10/util/FunctionRef.h>

#include <compare>

namespace virga::models::torch_impl {

/// Rows that attend alike: `rows_each` consecutive ones for every table, of which the first `pages` are read.
struct attending {
  std::int64_t first_row = 0, rows_each = 1;
  std::int64_t first_table = 0, tables = 0, pages = 0;
  auto operator<=>(const attending&) const = default;
};

/// All about a step that its numbers do not say.
struct step_shape {
  std::uint32_t first_stage = 0, last_stage = 0;
  std::int64_t rows = 0;               ///< padding included
  std::int64_t lanes = 0;              ///< of the stages run
  std::int64_t tables = 0, pages = 0;  ///< tables of pages, and entries of each
  std::int64_t scored = 0;             ///< rows that the head reads
  std::vector<std::uint32_t> taps;     ///< stages behind which rows are wanted, ascending
  std::vector<attending> parts;
  auto operator<=>(const step_shape&) const = default;

  std::int64_t numbers() const { return 2 * rows + lanes * (rows + tables * pages) + scored; }
};

/// A step's numbers, i64, one after the other in one tensor.
struct step_numbers {
  step_numbers(const step_shape& shape, const at::Tensor& all);

  at::Tensor tokens;     ///< [rows]; 0 where rows come in
  at::Tensor positions;  ///< [rows]
  at::Tensor writes;     ///< [lanes, rows]: where a row's keys and values go, page * 64 + position in it
  at::Tensor tables;     ///< [lanes, tables, pages]: page numbers
  at::Tensor scored;     ///< [scored]: rows
};

/// What a plan asks of the shard that runs it.
struct step_host {
  const std::vector<stage>& stages;
  std::uint32_t first_lane = 0, end_lane = 0;  ///< of the stages run
  c10::function_ref<const lane_kv&(sequence, std::uint32_t lane)> lane;
  c10::function_ref<std::uint32_t(const segment&)> tapped;  ///< past the last stage: nothing
  std::int64_t page_bytes = 0;
  std::int64_t zero_page = 0, trash_slot = 0;  ///< what padding reads and writes
};

struct placed_segment {
  std::size_t index = 0;                   ///< in the batch
  std::int64_t first = 0, count = 0;       ///< rows of the step
  std::int64_t base = 0;                   ///< position of the first
  std::int64_t scores_at = 0, scores = 0;  ///< rows of the step's logits
};

class step_plan {
public:
  /// @param members of the batch, all through the same stages
  step_plan(std::span<const segment> batch, const std::vector<std::size_t>& members, const step_host& host);

  const step_shape& shape() const { return shape_; }
  bool repeatable() const { return repeatable_; }  ///< of one of few shapes
  const std::vector<placed_segment>& segments() const { return segments_; }
  const std::vector<std::int64_t>& numbers() const { return numbers_; }          ///< as step_numbers reads them
  const std::vector<std::int64_t>& fresh_pages() const { return fresh_pages_; }  ///< first written by this step

private:
  void place(std::span<const segment> batch, const std::vector<std::size_t>& members);
  void choose_shape(const step_host& host);
  void choose_parts(std::int64_t short_pages, const step_host& host);
  void choose_scored(std::span<const segment> batch, const step_host& host);
  void write_numbers(std::span<const segment> batch, const step_host& host);
  void write_lane(const std::vector<const lane_kv*>& lanes, std::int64_t lane, const step_host& host);

  step_shape shape_;
  bool repeatable_ = false;
  std::int64_t short_rows_ = 0, short_segments_ = 0;
  std::vector<placed_segment> segments_;  ///< the short ones first
  std::vector<std::int64_t> scored_, numbers_, fresh_pages_;
};

/// n, rounded up to 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: at most half as much again.
std::int64_t rounded_up(std::int64_t n);

} // namespace virga::models::torch_impl
