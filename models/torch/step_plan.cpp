#include "models/torch/step_plan_impl.hpp"

#include "models/defaults.hpp"
#include "models/torch/answer_impl.hpp"

#include <algorithm>
#include <set>

namespace virga::models::torch_impl {

namespace {

constexpr std::int64_t per_page = defaults::kv_page_positions;

std::int64_t pages_for(std::int64_t positions) { return (positions + per_page - 1) / per_page; }

std::int64_t rows_of(const segment& s) {
  return s.rows.rows > 0 ? s.rows.rows : static_cast<std::int64_t>(s.tokens.size());
}

} // namespace

std::int64_t rounded_up(std::int64_t n) {
  std::int64_t power = 1;
  while (power < n)
    power *= 2;
  return power >= 4 && power / 4 * 3 >= n ? power / 4 * 3 : power;
}

step_numbers::step_numbers(const step_shape& s, const at::Tensor& all) {
  std::int64_t at = 0;
  auto next = [&](std::int64_t count) { return all.narrow(0, std::exchange(at, at + count), count); };
  tokens = next(s.rows);
  positions = next(s.rows);
  writes = next(s.lanes * s.rows).view({s.lanes, s.rows});
  tables = next(s.lanes * s.tables * s.pages).view({s.lanes, s.tables, s.pages});
  scored = next(s.scored);
}

step_plan::step_plan(std::span<const segment> batch, const std::vector<std::size_t>& members, const step_host& host) {
  auto& one = batch[members.front()];
  shape_.first_stage = one.first_stage;
  shape_.last_stage = one.last_stage;
  shape_.lanes = host.end_lane - host.first_lane;
  place(batch, members);
  choose_shape(host);
  choose_scored(batch, host);
  write_numbers(batch, host);
}

void step_plan::place(std::span<const segment> batch, const std::vector<std::size_t>& members) {
  auto is_short = [&](std::size_t i) { return rows_of(batch[i]) <= defaults::device_short_rows; };
  auto order = members;
  auto end = std::stable_partition(order.begin(), order.end(), is_short);
  short_segments_ = end - order.begin();
  for (auto i : order) {
    auto count = rows_of(batch[i]);
    segments_.push_back({i, shape_.rows, count, static_cast<std::int64_t>(batch[i].base), 0, 0});
    shape_.rows += count;
    if (is_short(i))
      short_rows_ += count;
  }
}

void step_plan::choose_shape(const step_host& host) {
  std::int64_t short_pages = 0;
  for (std::size_t k = 0; shape_.lanes > 0 && k < segments_.size(); ++k) {
    auto pages = pages_for(segments_[k].base + segments_[k].count);
    shape_.pages = std::max(shape_.pages, pages);
    if (static_cast<std::int64_t>(k) < short_segments_)
      short_pages = shape_.pages;
  }
  auto rows = rounded_up(shape_.rows), pages = shape_.lanes > 0 ? rounded_up(shape_.pages) : 0;
  repeatable_ = shape_.rows == short_rows_ && shape_.rows <= defaults::device_fixed_rows
                && rows * pages * host.page_bytes <= defaults::device_gather_bytes;
  if (repeatable_) {
    shape_.rows = shape_.tables = rows;
    shape_.pages = pages;
    if (shape_.lanes > 0)
      shape_.parts.push_back({0, 1, 0, rows, pages});
    return;
  }
  shape_.tables = short_rows_ + static_cast<std::int64_t>(segments_.size()) - short_segments_;
  if (shape_.lanes > 0)
    choose_parts(short_pages, host);
}

/// Short rows alone, in pieces that are not too much to gather at once; then each long segment.
void step_plan::choose_parts(std::int64_t short_pages, const step_host& host) {
  auto bytes = std::max<std::int64_t>(1, short_pages * host.page_bytes);
  auto most = std::max<std::int64_t>(1, defaults::device_gather_bytes / bytes);
  for (std::int64_t at = 0; at < short_rows_; at += most)
    shape_.parts.push_back({at, 1, at, std::min(most, short_rows_ - at), short_pages});
  for (auto k = short_segments_; k < static_cast<std::int64_t>(segments_.size()); ++k) {
    auto& s = segments_[static_cast<std::size_t>(k)];
    shape_.parts.push_back({s.first, s.count, short_rows_ + k - short_segments_, 1, pages_for(s.base + s.count)});
  }
}

/// A step that is repeated scores all its rows when it scores any, so that the shape does not depend on which.
void step_plan::choose_scored(std::span<const segment> batch, const step_host& host) {
  std::set<std::uint32_t> taps;
  bool head = host.stages[shape_.last_stage].kind == stage_kind::head;
  for (auto& p : segments_) {
    auto& s = batch[p.index];
    if (auto tap = host.tapped(s); tap < host.stages.size())
      taps.insert(tap);
    auto most = head ? needed_rows(s.want) : rows_wanted::none;
    p.scores = picked(most, p.count);
    auto from = p.first + p.count - p.scores;
    p.scores_at = repeatable_ ? from : static_cast<std::int64_t>(scored_.size());
    for (auto row = from; row < p.first + p.count; ++row)
      scored_.push_back(row);
  }
  shape_.taps.assign(taps.begin(), taps.end());
  if (repeatable_ && !scored_.empty()) {
    scored_.resize(static_cast<std::size_t>(shape_.rows));
    for (std::int64_t i = 0; i < shape_.rows; ++i)
      scored_[static_cast<std::size_t>(i)] = i;
  }
  shape_.scored = static_cast<std::int64_t>(scored_.size());
}

void step_plan::write_numbers(std::span<const segment> batch, const step_host& host) {
  numbers_.assign(static_cast<std::size_t>(shape_.numbers()), 0);
  for (auto& p : segments_) {
    auto at = numbers_.begin() + p.first;
    std::ranges::copy(batch[p.index].tokens, at);
    for (std::int64_t i = 0; i < p.count; ++i)
      at[shape_.rows + i] = p.base + i;
  }
  for (std::int64_t lane = 0; lane < shape_.lanes; ++lane) {
    std::vector<const lane_kv*> lanes;
    for (auto& p : segments_)
      lanes.push_back(&host.lane(batch[p.index].seq, host.first_lane + static_cast<std::uint32_t>(lane)));
    write_lane(lanes, lane, host);
  }
  std::ranges::copy(scored_, numbers_.end() - shape_.scored);
}

void step_plan::write_lane(const std::vector<const lane_kv*>& lanes, std::int64_t lane, const step_host& host) {
  auto writes = numbers_.begin() + 2 * shape_.rows + lane * shape_.rows;
  auto tables = numbers_.begin() + (2 + shape_.lanes) * shape_.rows + lane * shape_.tables * shape_.pages;
  std::fill_n(writes, shape_.rows, host.trash_slot);
  std::fill_n(tables, shape_.tables * shape_.pages, host.zero_page);
  for (std::size_t k = 0; k < segments_.size(); ++k) {
    auto& p = segments_[k];
    auto& pages = lanes[k]->pages;
    for (auto i = pages_for(p.base); i < pages_for(p.base + p.count); ++i)
      fresh_pages_.push_back(pages[static_cast<std::size_t>(i)]);
    bool alone = p.first < short_rows_;
    for (std::int64_t i = 0; i < p.count; ++i) {
      auto position = p.base + i;
      auto page = std::int64_t{pages[static_cast<std::size_t>(position / per_page)]};
      writes[p.first + i] = page * per_page + position % per_page;
      if (alone)
        std::copy_n(pages.begin(), position / per_page + 1, tables + (p.first + i) * shape_.pages);
    }
    if (!alone)
      std::copy_n(pages.begin(), pages_for(p.base + p.count),
                  tables + (short_rows_ + static_cast<std::int64_t>(k) - short_segments_) * shape_.pages);
  }
}

} // namespace virga::models::torch_impl
