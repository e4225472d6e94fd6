// models/torch/attention_impl.hpp: attention of one segment over the pages of its own history. Private to models/torch.
// Every mask is explicit: libtorch's is_causal aligns the triangle to the wrong corner for cached blocks.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <vector>

namespace virga::models::torch_impl {

struct head_shape {
  std::int64_t heads = 0, kv_heads = 0, dim = 0;
};

/// Rows of one block of queries: bounds the matrix of scores.
inline constexpr std::int64_t query_rows = 256;

/// A block of a segment's queries and the keys that any of them sees.
struct query_block {
  std::int64_t first = 0, count = 0;        ///< rows of the segment
  std::int64_t key_begin = 0, key_end = 0;  ///< positions
  at::Tensor mask;                          ///< [count, keys]: 0 or -infinity; undefined where every key is seen
};

/// One segment's place in the group and in its own history.
struct span_of_rows {
  std::int64_t first = 0, count = 0;  ///< rows of the group
  std::int64_t base = 0;              ///< position of the first one
  std::map<std::int64_t, std::vector<query_block>> blocks;  ///< by window

  const std::vector<query_block>& blocks_for(std::int64_t window) const { return blocks.at(window); }
};

/// Blocks that let the row at position p see the positions up to p, the last `window` of them when it is not 0.
std::vector<query_block> causal_blocks(std::int64_t base, std::int64_t count, std::int64_t window, at::ScalarType type);

/// cos and signed sin of every row's position, [total, 1, dim]: x * cos + swapped halves of x * sin.
struct turns {
  at::Tensor cos, sin;
};

/// x [total, heads, dim] in place.
void rotate(at::Tensor x, const turns& turn);

/// Keys and values of consecutive positions, kv [2, kv_heads, count, dim], into their pages.
void store(const at::Tensor& kv, std::int64_t base, const std::vector<at::Tensor>& pages);

/// q [count, heads, dim] -> [count, heads * dim], in q's dtype. Pages before the first key that is seen are not read.
at::Tensor attend(const at::Tensor& q, const std::vector<at::Tensor>& pages, const std::vector<query_block>& blocks,
                  const head_shape& s);

} // namespace virga::models::torch_impl
