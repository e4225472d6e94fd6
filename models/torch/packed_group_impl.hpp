// models/torch/packed_group_impl.hpp: what the operator of packed layers is told of the rows of a group. Private to
// models/torch.
#pragma once

#include "models/rotary.hpp"
#include "models/torch/attention_impl.hpp"
#include "models/torch/decoder_layer_impl.hpp"

namespace virga::models::torch_impl {

/// Pages that a segment's history has, its own rows included.
std::size_t pages_of(const span_of_rows& s);

/// Places and turns of the rows, made once for all layers with the same window.
class packed_group {
public:
  packed_group(std::vector<span_of_rows> spans, std::int64_t rows, const rotary& angles);

  const row_places& places(std::int64_t window);

private:
  std::vector<span_of_rows> spans_;
  std::int64_t rows_;
  at::Tensor turns_;
  std::vector<std::pair<std::int64_t, row_places>> by_window_;
};

/// The rows that go on behind the last layer: in `spans` how many of each segment, its last ones.
/// @returns their indices, i64, ascending
at::Tensor last_rows(const std::vector<span_of_rows>& all, const std::vector<span_of_rows>& spans);

} // namespace virga::models::torch_impl
