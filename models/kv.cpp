#include "models/kv.hpp"

#include "models/defaults.hpp"

#include <algorithm>

namespace virga::models {

namespace {

constexpr std::uint64_t per_page = defaults::kv_page_positions;
std::uint64_t pages_for(std::uint64_t positions) { return (positions + per_page - 1) / per_page; }

} // namespace

kv_table::kv_table(std::uint32_t lanes, std::uint64_t page_bytes, std::uint64_t limit_bytes)
    : lane_count_(lanes), page_bytes_(page_bytes), limit_bytes_(limit_bytes) {}

sequence kv_table::open() {
  auto seq = sequence{++next_sequence_};
  sequences_.emplace(seq, lanes_kv(lane_count_));
  return seq;
}

sequence kv_table::fork(sequence seq, std::uint64_t length) {
  auto copy = lanes_of(seq);
  for (auto& lane : copy) {
    if (lane.length < length)
      throw stale_position(lane.length, length);
    lane.pages.resize(pages_for(length));
    lane.length = length;
  }
  auto child = open();
  for (auto& lane : copy)
    for (auto page : lane.pages)
      ++owners_[page];
  sequences_[child] = std::move(copy);
  return child;
}

void kv_table::truncate(sequence seq, std::uint64_t length) {
  for (auto& lane : lanes_of(seq))
    if (lane.length > length)
      shrink(lane, length);
}

void kv_table::close(sequence seq) {
  auto it = sequences_.find(seq);
  if (it == sequences_.end())
    return;
  for (auto& lane : it->second)
    shrink(lane, 0);
  sequences_.erase(it);
}

const lane_kv& kv_table::lane(sequence seq, std::uint32_t lane) const {
  return const_cast<kv_table*>(this)->lanes_of(seq).at(lane);
}

kv_table::lanes_kv& kv_table::lanes_of(sequence seq) {
  auto it = sequences_.find(seq);
  if (it == sequences_.end())
    throw bad_segment("sequence " + std::to_string(static_cast<std::uint64_t>(seq)) + " is not open");
  return it->second;
}

/// The next position lies in a page that another sequence also sees.
bool kv_table::must_copy(const lane_kv& lane) const {
  return lane.length % per_page != 0 && owners_[lane.pages.back()] > 1;
}

std::uint64_t kv_table::new_pages(const lane_kv& lane, std::uint64_t count) const {
  return pages_for(lane.length + count) - lane.pages.size() + (must_copy(lane) ? 1 : 0);
}

std::vector<page_copy> kv_table::reserve(std::span<const kv_growth> growths) {
  std::uint64_t needed = 0;
  for (auto& g : growths)
    for (auto i = g.first_lane; i < g.last_lane; ++i)
      needed += new_pages(lane(g.seq, i), g.count);
  if (needed > (limit_bytes_ - bytes()) / page_bytes_)
    throw out_of_pages(needed * page_bytes_, limit_bytes_ - bytes());
  std::vector<page_copy> copies;
  for (auto& g : growths)
    for (auto i = g.first_lane; i < g.last_lane; ++i) {
      auto& lane = lanes_of(g.seq)[i];
      if (must_copy(lane)) {
        copies.push_back({lane.pages.back(), take(), static_cast<std::uint32_t>(lane.length % per_page)});
        release(lane.pages.back());
        lane.pages.back() = copies.back().to;
      }
      while (lane.pages.size() < pages_for(lane.length + g.count))
        lane.pages.push_back(take());
    }
  return copies;
}

void kv_table::commit(std::span<const kv_growth> growths) noexcept {
  for (auto& g : growths)
    for (auto i = g.first_lane; i < g.last_lane; ++i)
      sequences_.find(g.seq)->second[i].length += g.count;
}

void kv_table::abandon(std::span<const kv_growth> growths) noexcept {
  for (auto& g : growths)
    for (auto i = g.first_lane; i < g.last_lane; ++i) {
      auto& lane = sequences_.find(g.seq)->second[i];
      shrink(lane, lane.length);
    }
}

std::uint64_t kv_table::bytes_for(std::uint64_t positions) const {
  return pages_for(positions) * page_bytes_ * lane_count_;
}

std::uint64_t kv_table::bytes_held_by(std::span<const sequence> these) const {
  std::vector<std::uint32_t> seen(owners_.size());
  std::uint64_t pages = 0;
  for (auto seq : these)
    if (auto it = sequences_.find(seq); it != sequences_.end())
      for (auto& lane : it->second)
        for (auto page : lane.pages)
          pages += ++seen[page] == owners_[page];
  return pages * page_bytes_;
}

page_id kv_table::take() {
  if (free_.empty()) {
    free_.push_back(static_cast<page_id>(owners_.size()));
    owners_.push_back(0);
    free_.reserve(owners_.capacity());
  }
  auto page = free_.back();
  free_.pop_back();
  owners_[page] = 1;
  ++used_pages_;
  return page;
}

void kv_table::release(page_id page) noexcept {
  if (--owners_[page] > 0)
    return;
  --used_pages_;
  free_.push_back(page);  // never grows: take() made the room
}

void kv_table::shrink(lane_kv& lane, std::uint64_t length) noexcept {
  while (lane.pages.size() > pages_for(length)) {
    release(lane.pages.back());
    lane.pages.pop_back();
  }
  lane.length = length;
}

} // namespace virga::models
