#include "models/torch/packed_group_impl.hpp"

#include "models/defaults.hpp"

#include <algorithm>
#include <numeric>

namespace virga::models::torch_impl {

std::size_t pages_of(const span_of_rows& s) {
  constexpr std::int64_t page = defaults::kv_page_positions;
  return static_cast<std::size_t>((s.base + s.count + page - 1) / page);
}

packed_group::packed_group(std::vector<span_of_rows> spans, std::int64_t rows, const rotary& angles)
    : spans_(std::move(spans)), rows_(rows) {
  const auto half = angles.frequencies().size();
  turns_ = at::empty({2, rows, static_cast<std::int64_t>(half)}, at::kFloat);
  auto* cos = turns_.mutable_data_ptr<float>();
  auto* sin = cos + static_cast<std::size_t>(rows) * half;
  for (auto& s : spans_)
    for (auto position = s.base; position < s.base + s.count; ++position, cos += half, sin += half)
      angles.fill(static_cast<std::uint64_t>(position), std::span(cos, half), std::span(sin, half));
}

const row_places& packed_group::places(std::int64_t window) {
  for (auto& [known, places] : by_window_)
    if (known == window)
      return places;
  auto rows = at::empty({rows_, 3}, at::kLong);
  auto* to = rows.mutable_data_ptr<std::int64_t>();
  std::int64_t first_page = 0;
  for (auto& s : spans_) {
    for (auto position = s.base; position < s.base + s.count; ++position) {
      *to++ = position;
      *to++ = window > 0 ? std::max<std::int64_t>(0, position - window + 1) : 0;
      *to++ = first_page;
    }
    first_page += static_cast<std::int64_t>(pages_of(s));
  }
  return by_window_.emplace_back(window, row_places{rows, turns_, {}}).second;
}

at::Tensor last_rows(const std::vector<span_of_rows>& all, const std::vector<span_of_rows>& spans) {
  auto out = at::empty({spans.empty() ? 0 : spans.back().first + spans.back().count}, at::kLong);
  auto* to = out.mutable_data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < spans.size(); to += spans[i].count, ++i)
    std::iota(to, to + spans[i].count, all[i].first + all[i].count - spans[i].count);
  return out;
}

} // namespace virga::models::torch_impl
