// models/kv.hpp: which pages hold which positions. Bookkeeping only; a shard owns the bytes behind the page numbers.
// A lane is one decoder layer of one stage: it has its own length and its own pages in every sequence.
#pragma once

#include "models/shard.hpp"

#include <map>
#include <span>
#include <vector>

namespace virga::models {

using page_id = std::uint32_t;

/// One lane of one sequence. Position p lies in pages[p / page_positions] at p % page_positions.
struct lane_kv {
  std::vector<page_id> pages;
  std::uint64_t length = 0;
};

/// `count` more positions for the lanes [first_lane, last_lane) of `seq`.
struct kv_growth {
  sequence seq{};
  std::uint32_t first_lane = 0, last_lane = 0;
  std::uint64_t count = 0;
};

/// The first `positions` positions of page `from` are to be copied to `to`, which is new.
struct page_copy {
  page_id from = 0, to = 0;
  std::uint32_t positions = 0;
};

class kv_table {
public:
  /// @param page_bytes of one page of one lane @param limit_bytes bound on all pages
  kv_table(std::uint32_t lanes, std::uint64_t page_bytes, std::uint64_t limit_bytes);

  sequence open();
  /// Shares all pages of the first `length` positions. @throws stale_position when a lane is shorter
  sequence fork(sequence seq, std::uint64_t length);
  void truncate(sequence seq, std::uint64_t length);
  void close(sequence seq);
  bool knows(sequence seq) const { return sequences_.contains(seq); }
  const lane_kv& lane(sequence seq, std::uint32_t lane) const;  ///< unknown sequence: bad_segment

  /// Makes room for all growths, or throws out_of_pages before any change. A last page that others share is replaced
  /// by a new one; the caller carries the bytes over. Lengths stay. Each lane of a sequence at most once.
  std::vector<page_copy> reserve(std::span<const kv_growth> growths);
  void commit(std::span<const kv_growth> growths) noexcept;  ///< the positions are written: lengths grow
  void abandon(std::span<const kv_growth> growths) noexcept;  ///< the step failed: the room is given back

  std::uint64_t bytes() const { return used_pages_ * page_bytes_; }
  std::uint64_t limit() const { return limit_bytes_; }
  std::uint64_t bytes_for(std::uint64_t positions) const;
  std::uint64_t bytes_held_by(std::span<const sequence> these) const;  ///< of pages that no other sequence sees

private:
  using lanes_kv = std::vector<lane_kv>;

  lanes_kv& lanes_of(sequence seq);
  std::uint64_t new_pages(const lane_kv& lane, std::uint64_t count) const;
  bool must_copy(const lane_kv& lane) const;
  page_id take();
  void release(page_id page) noexcept;
  void shrink(lane_kv& lane, std::uint64_t length) noexcept;

  std::uint32_t lane_count_;
  std::uint64_t page_bytes_, limit_bytes_;
  std::uint64_t used_pages_ = 0, next_sequence_ = 0;
  std::vector<std::uint32_t> owners_;  ///< by page; 0: free
  std::vector<page_id> free_;
  std::map<sequence, lanes_kv> sequences_;
};

} // namespace virga::models
