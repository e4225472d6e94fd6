// models/paged_shard.hpp: what both shards have in common: checks of a batch, sequences, pages. A shard adds the
// arithmetic and the bytes. Private to models/.
#pragma once

#include "models/kernels/kernels.hpp"
#include "models/kv.hpp"
#include "models/make_shard.hpp"

#include <map>

namespace virga::models {

/// The stages asked for, or those of the folder; with an adapter, that before the head.
/// @throws bad_model when the folder does not hold them, or the adapter does not fit
std::vector<stage> stages_for(const hf::model_folder& folder, const shard_options& options);

/// "f32 [3, 8] in 96 bytes"
std::string shape_text(const tensor& t);

/// Segments that run through the same first and last stage, by their index in the batch.
using stage_groups = std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<std::size_t>>;
stage_groups groups_of(std::span<const segment> batch);

class paged_shard : public shard {
public:
  const shard_info& info() const final { return info_; }
  sequence open() final { return kv_.open(); }
  sequence fork(sequence seq, std::uint64_t length) final { return kv_.fork(seq, length); }
  void truncate(sequence seq, std::uint64_t length) final { kv_.truncate(seq, length); }
  void close(sequence seq) final { kv_.close(seq); }
  std::uint64_t length(sequence seq, std::uint32_t stage_index) const final;
  tensor kv_rows(sequence seq, std::uint32_t stage_index, std::uint32_t layer, std::uint64_t first, std::uint32_t count) const final;
  std::vector<kv_slice> export_kv(sequence seq, std::uint32_t stage_index, std::uint64_t first,
                                  std::uint32_t count) const final;
  void import_kv(sequence seq, std::span<const kv_slice> slices) final;
  std::vector<segment_result> step(std::span<const segment> batch) final;
  std::uint64_t kv_bytes() const final { return kv_.bytes(); }
  std::uint64_t kv_bytes_limit() const final { return kv_.limit(); }
  std::uint64_t kv_bytes_for(std::uint64_t positions) const final { return kv_.bytes_for(positions); }
  std::uint64_t kv_bytes_held_by(std::span<const sequence> these) const final { return kv_.bytes_held_by(these); }

protected:
  paged_shard(const hf::model_folder& folder, const shard_options& options);

  /// Computes a batch that was checked and has its pages; each lane still has its old length.
  virtual std::vector<segment_result> run(std::span<const segment> batch) = 0;
  /// Copies the first positions of a page. `to` may be a page never seen before.
  virtual void copy_page(const page_copy& copy) = 0;

  /// Keys and values of the positions [first, first + count) of a page: [count][2 * kv heads][head size] in info().kv,
  /// and of i8_rows their scales, [count][2 * kv heads].
  virtual void read_kv(page_id page, std::uint32_t first, std::uint32_t count, std::byte* to, float* scales) const = 0;
  /// The other way. `page` may be one never seen before.
  virtual void write_kv(page_id page, std::uint32_t first, std::uint32_t count, const std::byte* from,
                        const float* scales) = 0;

  const kernels::page_layout& layout() const { return layout_; }

  /// Lanes of the stages [0, stage_index): the first lane of that stage.
  std::uint32_t first_lane(std::uint32_t stage_index) const { return lane_begin_[stage_index]; }
  const lane_kv& lane(sequence seq, std::uint32_t index) const { return kv_.lane(seq, index); }
  /// Whether the segment's rows pass an adapter, whose norm stands for the head's.
  bool passes_adapter(const segment& s) const;
  /// The stage whose rows are wanted; info().stages.size() for none.
  std::uint32_t tapped(const segment& s) const;
  static std::uint32_t row_count(const segment& s);

private:
  std::uint32_t lane_of(std::uint32_t stage_index, std::uint32_t layer) const;
  std::uint32_t heads_kept() const { return 2 * layout_.heads; }
  tensor kept_shape(std::uint32_t count) const;
  std::uint32_t positions_in(const tensor& kept) const;
  template <class Byte>
  auto parts_of(Byte* kept, std::uint32_t count, std::uint32_t position) const;
  tensor kept_rows(sequence seq, std::uint32_t lane, std::uint64_t first, std::uint32_t count) const;
  std::vector<kv_growth> growths_of(sequence seq, std::span<const kv_slice> slices) const;
  void check(const kv_slice& s) const;
  void check(const segment& s) const;
  void check_input(const segment& s) const;
  void check_position(const segment& s) const;
  void check_wants(const segment& s) const;

  shard_info info_;
  kernels::page_layout layout_;
  std::vector<std::uint32_t> lane_begin_;  ///< one more entry than stages
  kv_table kv_;
};

} // namespace virga::models
