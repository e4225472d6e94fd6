// models/torch/shard_pages_impl.hpp: the bytes behind a shard's KV pages. Private to models/torch.
#pragma once

#include "models/kernels/kernels.hpp"
#include "models/kv.hpp"

#include <ATen/ATen.h>

#include <vector>

namespace virga::models::torch_impl {

/// Pages come to be when they are first used and stay. On the CPU.
class shard_pages {
public:
  /// @param packed pages of our kernels, as `layout` says; else of libtorch's operators, [2, kv heads, 64, dim]
  shard_pages(const kernels::page_layout& layout, at::ScalarType stored, bool packed)
      : layout_(layout), stored_(stored), packed_(packed) {}

  /// Puts the first `count` pages of a lane behind those in `to`.
  void append(const lane_kv& lane, std::size_t count, std::vector<at::Tensor>& to);
  void copy(const page_copy& c);

  // As paged_shard::read_kv and write_kv say.
  void read(page_id id, std::uint32_t first, std::uint32_t count, std::byte* to, float* scales) const;
  void write(page_id id, std::uint32_t first, std::uint32_t count, const std::byte* from, const float* scales);

private:
  const at::Tensor& page(page_id id);

  template <class Move, class Scale>
  void each_number(const at::Tensor& page, std::uint32_t first, std::uint32_t count, std::byte* rows,
                   const Move& number, const Scale& scale) const;
  template <class Number, class Move, class Scale>
  void each_number(std::byte* page, std::uint32_t first, std::uint32_t count, std::byte* rows, const Move& number,
                   const Scale& scale) const;

  kernels::page_layout layout_;
  at::ScalarType stored_;  ///< of a number
  bool packed_;
  std::vector<at::Tensor> pages_;
};

} // namespace virga::models::torch_impl
