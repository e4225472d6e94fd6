// models/torch/paged_kv_impl.hpp: the KV pages of a device in one tensor, and attention that gathers them by number, as
// PagedAttention (Kwon et al. 2023, section 4) with libtorch's operators. No call waits for the device. Private to
// models/torch.
#pragma once

#include "models/torch/attention_impl.hpp"
#include "models/torch/step_plan_impl.hpp"

namespace virga::models::torch_impl {

/// Which keys the queries of one part see, by blocks of rows, for all layers with the same window.
struct part_mask {
  std::int64_t first = 0, count = 0;  ///< rows of the part
  at::Tensor mask;  ///< 0 or -infinity, broadcast to [tables, kv_heads, group * rows of a table, keys]
};
using part_masks = std::vector<std::vector<part_mask>>;  ///< by part

/// @param positions i64 [rows] @param window 0: none @param type of the KV
part_masks masks_for(const at::Tensor& positions, const std::vector<attending>& parts, const head_shape& s,
                     std::int64_t window, at::ScalarType type);

/// A page holds 64 positions, each its keys, then its values: [64, 2 * kv_heads * dim]. Behind `pages` of them stand
/// one of zeros that is never written, and one for what padding writes.
class paged_kv {
public:
  /// @throws c10::OutOfMemoryError
  paged_kv(std::int64_t pages, const head_shape& shape, at::ScalarType type, at::Device device);

  std::int64_t zero_page() const { return pages_.size(0) - 2; }
  std::int64_t trash_slot() const { return (pages_.size(0) - 1) * pages_.size(1); }
  std::int64_t page_bytes() const { return static_cast<std::int64_t>(pages_.nbytes()) / pages_.size(0); }
  at::ScalarType type() const { return pages_.scalar_type(); }

  /// @param kv [rows, 2 * kv_heads, dim] @param slots i64 [rows], page * 64 + position in it
  void write(const at::Tensor& kv, const at::Tensor& slots);

  /// @param q [rows, heads, dim] @param tables i64 [tables, pages] @returns [rows, heads * dim] in q's dtype
  at::Tensor attend(const at::Tensor& q, const at::Tensor& tables, const std::vector<attending>& parts,
                    const part_masks& masks) const;

  /// A page's old numbers would be multiplied by 0, which is not 0 when they are not finite. @param pages i64 [count]
  void clear(const at::Tensor& pages);
  void clear(page_id page, std::uint32_t from);                ///< its positions from there on
  void copy(const page_copy& c);                               ///< and zeros behind them
  /// Those positions of a page, [count, 2 * kv_heads * dim]: where they lie.
  at::Tensor rows(page_id page, std::uint32_t first, std::uint32_t count) const;

private:
  at::Tensor attend_block(const at::Tensor& q, const at::Tensor& kv, const at::Tensor& mask) const;

  head_shape shape_;
  at::Tensor pages_;  ///< [pages + 2, 64, 2 * kv_heads * dim]
};

} // namespace virga::models::torch_impl
