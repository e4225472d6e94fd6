// models/torch/answer_impl.hpp: libtorch's rows into what a segment brings back. Private to models/torch.
#pragma once

#include "models/shard.hpp"

#include <ATen/ATen.h>

namespace virga::models::torch_impl {

/// Rows as they travel.
tensor to_tensor(const at::Tensor& rows);

/// The last or all of them.
at::Tensor pick(const at::Tensor& rows, rows_wanted which);

/// How many rows pick() gives of so many.
inline std::int64_t picked(rows_wanted which, std::int64_t rows) {
  return which == rows_wanted::all ? rows : which == rows_wanted::last ? 1 : 0;
}

/// How many rows of logits a segment needs.
inline rows_wanted needed_rows(const wants& w) { return std::max(w.logits, w.tokens); }

/// Logits and choices as the segment wants them. @param logits of its last rows @param end position after its last row
void answer(const segment& s, std::uint64_t end, const at::Tensor& logits, segment_result& out);

} // namespace virga::models::torch_impl
