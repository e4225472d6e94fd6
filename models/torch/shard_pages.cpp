#include "models/torch/shard_pages_impl.hpp"

#include "models/defaults.hpp"

#include <cstring>

namespace virga::models::torch_impl {

namespace {

/// Keys and values of some positions of a page of libtorch's own operators: [count, kv_heads, dim] each.
std::pair<at::Tensor, at::Tensor> rows_of(const at::Tensor& p, std::int64_t first, std::int64_t count) {
  return {p.select(0, 0).transpose(0, 1).narrow(0, first, count),
          p.select(0, 1).transpose(0, 1).narrow(0, first, count)};
}

} // namespace

const at::Tensor& shard_pages::page(page_id id) {
  if (pages_.size() <= id)
    pages_.resize(std::size_t{id} + 1);
  if (!pages_[id].defined() && layout_.type == dtype::i8_rows)
    pages_[id] = at::empty({static_cast<std::int64_t>(layout_.bytes())}, stored_);
  if (!pages_[id].defined())
    pages_[id] = at::empty({2, std::int64_t{layout_.heads}, std::int64_t{defaults::kv_page_positions},
                            std::int64_t{layout_.dim}}, stored_);
  return pages_[id];
}

void shard_pages::append(const lane_kv& lane, std::size_t count, std::vector<at::Tensor>& to) {
  for (std::size_t i = 0; i < count; ++i)
    to.push_back(page(lane.pages[i]));
}

void shard_pages::copy(const page_copy& c) {
  auto to = page(c.to), from = page(c.from);
  if (packed_)
    to.copy_(from);
  else
    to.narrow(2, 0, c.positions).copy_(from.narrow(2, 0, c.positions));
}

/// Pages of our kernels and their rows: takes each number, number(page, row), and each scale, scale(page, index), to
/// its place or back.
template <class Number, class Move, class Scale>
void shard_pages::each_number(std::byte* page, std::uint32_t first, std::uint32_t count, std::byte* rows,
                              const Move& number, const Scale& scale) const {
  auto* row = reinterpret_cast<Number*>(rows);
  for (std::uint32_t i = 0; i < count; ++i)
    for (std::uint32_t h = 0; h < 2 * layout_.heads; ++h, row += layout_.dim) {
      const auto position = first + i;
      const auto at = layout_.place(h % layout_.heads);
      const bool keys = h < layout_.heads;
      auto* numbers = reinterpret_cast<Number*>(page + (keys ? at.keys : at.values));
      for (std::uint32_t d = 0; d < layout_.dim; ++d)
        number(numbers[keys ? layout_.key_at(position, d) : layout_.value_at(position, d)], row[d]);
      if constexpr (sizeof(Number) == 1)
        scale(reinterpret_cast<float*>(page + (keys ? at.key_scales : at.value_scales))[position],
              i * 2 * layout_.heads + h);
    }
}

template <class Move, class Scale>
void shard_pages::each_number(const at::Tensor& page, std::uint32_t first, std::uint32_t count, std::byte* rows,
                              const Move& number, const Scale& scale) const {
  auto* p = static_cast<std::byte*>(page.mutable_data_ptr());
  switch (layout_.type) {
    case dtype::i8_rows: return each_number<std::uint8_t>(p, first, count, rows, number, scale);
    case dtype::bf16: return each_number<std::uint16_t>(p, first, count, rows, number, scale);
    default: return each_number<std::uint32_t>(p, first, count, rows, number, scale);
  }
}

void shard_pages::read(page_id id, std::uint32_t first, std::uint32_t count, std::byte* to, float* scales) const {
  if (packed_)
    return each_number(pages_[id], first, count, to, [](auto& in_page, auto& in_row) { in_row = in_page; },
                       [&](float& in_page, std::uint32_t i) { scales[i] = in_page; });
  auto [keys, values] = rows_of(pages_[id], first, count);
  auto rows = at::stack({keys, values}, 1);
  std::memcpy(to, rows.const_data_ptr(), rows.nbytes());
}

void shard_pages::write(page_id id, std::uint32_t first, std::uint32_t count, const std::byte* from,
                        const float* scales) {
  if (packed_)
    return each_number(page(id), first, count, const_cast<std::byte*>(from),
                       [](auto& in_page, auto& in_row) { in_page = in_row; },
                       [&](float& in_page, std::uint32_t i) { in_page = scales[i]; });
  auto [keys, values] = rows_of(page(id), first, count);
  auto rows = at::empty({std::int64_t{count}, 2, keys.size(1), keys.size(2)}, stored_);
  std::memcpy(rows.mutable_data_ptr(), from, rows.nbytes());
  keys.copy_(rows.select(1, 0));
  values.copy_(rows.select(1, 1));
}

} // namespace virga::models::torch_impl
