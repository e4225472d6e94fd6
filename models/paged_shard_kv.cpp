// Keys and values in and out of a paged shard.
#include "models/defaults.hpp"
#include "models/paged_shard.hpp"
#include "models/wire_rows.hpp"

#include <algorithm>
#include <map>

namespace virga::models {

namespace {

constexpr std::uint32_t per_page = defaults::kv_page_positions;

/// Calls piece(index of a page in its lane, first position in it, how many, how many came before) for positions from `first` on.
template <class Piece>
void over_pages(std::uint64_t first, std::uint32_t count, Piece piece) {
  for (std::uint32_t done = 0; done < count;) {
    const auto at = static_cast<std::uint32_t>((first + done) % per_page), n = std::min(per_page - at, count - done);
    piece((first + done) / per_page, at, n, done);
    done += n;
  }
}

std::string name_of(const kv_slice& s) { return "layer " + std::to_string(s.layer) + " of stage " + std::to_string(s.stage); }

} // namespace

/// @throws bad_segment when there is no such layer
std::uint32_t paged_shard::lane_of(std::uint32_t stage_index, std::uint32_t layer) const {
  if (stage_index >= info_.stages.size() || layer >= lane_begin_[stage_index + 1] - lane_begin_[stage_index])
    throw bad_segment("stage " + std::to_string(stage_index) + " has no layer " + std::to_string(layer) + " with keys and values");
  return lane_begin_[stage_index] + layer;
}

tensor paged_shard::kept_rows(sequence seq, std::uint32_t lane, std::uint64_t first, std::uint32_t count) const {
  const auto& from = kv_.lane(seq, lane);
  if (first > from.length || count > from.length - first)
    throw stale_position(from.length, first + count);
  const auto row_bytes = kv_row_ * size_of(info_.kv);
  tensor out{info_.kv, count, kv_row_, byte_buffer(count * row_bytes)};
  over_pages(first, count, [&](std::uint64_t page, std::uint32_t at, std::uint32_t n, std::uint32_t done) {
    read_kv(from.pages[page], at, n, out.data.data() + done * row_bytes);
  });
  return out;
}

tensor paged_shard::kv_rows(sequence seq, std::uint32_t stage_index, std::uint32_t layer, std::uint64_t first,
                            std::uint32_t count) const {
  return converted(kept_rows(seq, lane_of(stage_index, layer), first, count), info_.compute);
}

std::vector<kv_slice> paged_shard::export_kv(sequence seq, std::uint32_t stage_index, std::uint64_t first, std::uint32_t count) const {
  lane_of(stage_index, 0);
  std::vector<kv_slice> out;
  for (auto lane = lane_begin_[stage_index]; lane < lane_begin_[stage_index + 1]; ++lane)
    out.push_back({stage_index, lane - lane_begin_[stage_index], first, kept_rows(seq, lane, first, count)});
  return out;
}

void paged_shard::import_kv(sequence seq, std::span<const kv_slice> slices) {
  const auto growths = growths_of(seq, slices);
  const auto copies = kv_.reserve(growths);
  try {
    for (auto& c : copies)
      copy_page(c);
    for (auto& s : slices) {
      const auto& to = kv_.lane(seq, lane_of(s.stage, s.layer));
      over_pages(s.base, s.rows.rows, [&](std::uint64_t page, std::uint32_t at, std::uint32_t n, std::uint32_t done) {
        write_kv(to.pages[page], at, n, s.rows.data.data() + done * kv_row_ * size_of(info_.kv));
      });
    }
    kv_.commit(growths);
  } catch (...) {
    kv_.abandon(growths);
    throw;
  }
}

/// What the slices add to each stage that they belong to, all of them checked.
std::vector<kv_growth> paged_shard::growths_of(sequence seq, std::span<const kv_slice> slices) const {
  std::map<std::uint32_t, const kv_slice*> by_lane;
  for (auto& s : slices) {
    check(s);
    const auto lane = lane_of(s.stage, s.layer);
    if (!by_lane.emplace(lane, &s).second)
      throw bad_segment(name_of(s) + " came twice");
    if (auto have = kv_.lane(seq, lane).length; have != s.base)
      throw stale_position(have, s.base);
  }
  std::vector<kv_growth> out;
  for (auto& [lane, s] : by_lane) {
    const auto first = lane_begin_[s->stage], end = lane_begin_[s->stage + 1];
    if (lane == first)
      out.push_back({seq, first, end, s->rows.rows});
    if (out.empty() || out.back().last_lane != end || out.back().count != s->rows.rows)
      throw bad_segment("the layers of stage " + std::to_string(s->stage) + " must come with as many positions each, from the first layer on");
    if (lane + 1 < end && !by_lane.contains(lane + 1))
      throw bad_segment("layer " + std::to_string(s->layer + 1) + " of stage " + std::to_string(s->stage)
                        + " is missing: a stage's layers come together");
  }
  return out;
}

void paged_shard::check(const kv_slice& s) const {
  lane_of(s.stage, s.layer);
  auto& t = s.rows;
  if (t.type != info_.kv || t.rows == 0 || t.cols != kv_row_ || t.data.size() != std::uint64_t{t.rows} * kv_row_ * size_of(info_.kv))
    throw bad_segment(name_of(s) + " came as " + shape_text(t) + ", but this shard keeps " + std::string(to_string(info_.kv)) + " [1 or more, "
                      + std::to_string(kv_row_) + "]");
  if (s.base > info_.max_positions || t.rows > info_.max_positions - s.base)
    throw bad_segment(name_of(s) + " goes beyond the model's context of " + std::to_string(info_.max_positions));
  if (!all_finite(t))
    throw bad_segment(name_of(s) + " contains NaN or infinity");
}

} // namespace virga::models
