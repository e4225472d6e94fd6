// Keys and values in and out of a paged shard.
#include "models/defaults.hpp"
#include "models/paged_shard.hpp"
#include "models/wire_rows.hpp"

#include <algorithm>
#include <map>
#include <type_traits>

namespace virga::models {

namespace {

constexpr std::uint32_t per_page = defaults::kv_page_positions;

/// Calls piece(index of a page in its lane, first position in it, how many, how many came before) for positions from
/// `first` on.
template <class Piece>
void over_pages(std::uint64_t first, std::uint32_t count, Piece piece) {
  for (std::uint32_t done = 0; done < count;) {
    const auto at = static_cast<std::uint32_t>((first + done) % per_page), n = std::min(per_page - at, count - done);
    piece((first + done) / per_page, at, n, done);
    done += n;
  }
}

std::string name_of(const kv_slice& s) {
  return "layer " + std::to_string(s.layer) + " of stage " + std::to_string(s.stage);
}

} // namespace

/// @throws bad_segment when there is no such layer
std::uint32_t paged_shard::lane_of(std::uint32_t stage_index, std::uint32_t layer) const {
  if (stage_index >= info_.stages.size() || layer >= lane_begin_[stage_index + 1] - lane_begin_[stage_index])
    throw bad_segment("stage " + std::to_string(stage_index) + " has no layer " + std::to_string(layer)
                      + " with keys and values");
  return lane_begin_[stage_index] + layer;
}

/// Room for so many positions, as a slice has them: a row for each position, or of i8_rows for each head's key or
/// value.
tensor paged_shard::kept_shape(std::uint32_t count) const {
  const bool by_head = info_.kv == dtype::i8_rows;
  tensor out{info_.kv, count * (by_head ? heads_kept() : 1), layout_.dim * (by_head ? 1 : heads_kept()), {}};
  out.data.resize(out.rows * row_bytes(out.type, out.cols));
  return out;
}

/// Positions in a slice's tensor; 0 where it has none of the right shape.
std::uint32_t paged_shard::positions_in(const tensor& t) const {
  const auto one = kept_shape(1);
  const bool fits = t.type == one.type && t.cols == one.cols && t.rows % one.rows == 0
                 && t.data.size() == t.rows * row_bytes(t.type, t.cols);
  return fits ? t.rows / one.rows : 0;
}

/// Where a position's numbers, and its scales, begin in the data of a slice of `count` positions.
template <class Byte>
auto paged_shard::parts_of(Byte* kept, std::uint32_t count, std::uint32_t position) const {
  using number = std::conditional_t<std::is_const_v<Byte>, const float, float>;
  const bool scaled = info_.kv == dtype::i8_rows;
  const std::uint64_t scales = scaled ? std::uint64_t{count} * heads_kept() * sizeof(float) : 0;
  return std::pair(kept + scales + std::uint64_t{position} * heads_kept() * layout_.dim * size_of(info_.kv),
                   scaled ? reinterpret_cast<number*>(kept) + std::uint64_t{position} * heads_kept() : nullptr);
}

tensor paged_shard::kept_rows(sequence seq, std::uint32_t lane, std::uint64_t first, std::uint32_t count) const {
  const auto& from = kv_.lane(seq, lane);
  if (first > from.length || count > from.length - first)
    throw stale_position(from.length, first + count);
  auto out = kept_shape(count);
  over_pages(first, count, [&](std::uint64_t page, std::uint32_t at, std::uint32_t n, std::uint32_t done) {
    const auto [to, scales] = parts_of(out.data.data(), count, done);
    read_kv(from.pages[page], at, n, to, scales);
  });
  return out;
}

tensor paged_shard::kv_rows(sequence seq, std::uint32_t stage_index, std::uint32_t layer, std::uint64_t first,
                            std::uint32_t count) const {
  auto out = converted(kept_rows(seq, lane_of(stage_index, layer), first, count), info_.compute);
  out.rows = count;
  out.cols = heads_kept() * layout_.dim;
  return out;
}

std::vector<kv_slice> paged_shard::export_kv(sequence seq, std::uint32_t stage_index, std::uint64_t first,
                                             std::uint32_t count) const {
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
      const auto count = positions_in(s.rows);
      over_pages(s.base, count, [&](std::uint64_t page, std::uint32_t at, std::uint32_t n, std::uint32_t done) {
        const auto [from, scales] = parts_of(s.rows.data.data(), count, done);
        write_kv(to.pages[page], at, n, from, scales);
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
      out.push_back({seq, first, end, positions_in(s->rows)});
    if (out.empty() || out.back().last_lane != end || out.back().count != positions_in(s->rows))
      throw bad_segment("the layers of stage " + std::to_string(s->stage)
                        + " must come with as many positions each, from the first layer on");
    if (lane + 1 < end && !by_lane.contains(lane + 1))
      throw bad_segment("layer " + std::to_string(s->layer + 1) + " of stage " + std::to_string(s->stage)
                        + " is missing: a stage's layers come together");
  }
  return out;
}

void paged_shard::check(const kv_slice& s) const {
  lane_of(s.stage, s.layer);
  const auto count = positions_in(s.rows), one = kept_shape(1).rows;
  if (count == 0)
    throw bad_segment(name_of(s) + " came as " + shape_text(s.rows) + ", but this shard keeps "
                      + std::string(to_string(info_.kv)) + " [" + std::to_string(one) + " for each position, "
                      + std::to_string(kept_shape(1).cols) + "]");
  if (s.base > info_.max_positions || count > info_.max_positions - s.base)
    throw bad_segment(name_of(s) + " goes beyond the model's context of " + std::to_string(info_.max_positions));
  if (!all_finite(s.rows))
    throw bad_segment(name_of(s) + " contains NaN or infinity");
}

} // namespace virga::models
