#include "models/torch/answer_impl.hpp"

#include "models/sampler.hpp"

#include <cstring>

namespace virga::models::torch_impl {

namespace {

/// @param rows contiguous in their last dimension
choice choose_row(const at::Tensor& rows, std::int64_t i, const wants& w, std::uint64_t position) {
  auto size = static_cast<std::size_t>(rows.size(1));
  auto chosen = [&](auto* logits) {
    return choose_token(std::span(logits + i * rows.stride(0), size), w.choose, position, w.top_n,
                        seen_before(w, position), w.alternatives);
  };
  return rows.scalar_type() == at::kDouble ? chosen(rows.const_data_ptr<double>())
                                           : chosen(rows.const_data_ptr<float>());
}

} // namespace

tensor to_tensor(const at::Tensor& rows) {
  auto t = rows.contiguous();
  tensor out{t.scalar_type() == at::kDouble ? dtype::f64 : dtype::f32, static_cast<std::uint32_t>(t.size(0)),
             static_cast<std::uint32_t>(t.size(1)), {}};
  out.data.resize(t.nbytes());
  std::memcpy(out.data.data(), t.const_data_ptr(), out.data.size());
  return out;
}

at::Tensor pick(const at::Tensor& rows, rows_wanted which) {
  return which == rows_wanted::all || rows.size(0) == 1 ? rows : rows.narrow(0, rows.size(0) - 1, 1);
}

void answer(const segment& s, std::uint64_t end, const at::Tensor& logits, segment_result& out) {
  if (s.want.logits != rows_wanted::none)
    out.logits = to_tensor(pick(logits, s.want.logits));
  if (s.want.tokens == rows_wanted::none)
    return;
  auto rows = pick(logits, s.want.tokens);
  auto first = end + 1 - static_cast<std::uint64_t>(rows.size(0));
  for (std::int64_t i = 0; i < rows.size(0); ++i)
    out.choices.push_back(choose_row(rows, i, s.want, first + static_cast<std::uint64_t>(i)));
}

} // namespace virga::models::torch_impl
