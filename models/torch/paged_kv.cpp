#include "models/torch/paged_kv_impl.hpp"

#include "models/defaults.hpp"

#include <algorithm>
#include <limits>

namespace virga::models::torch_impl {

namespace {

constexpr std::int64_t per_page = defaults::kv_page_positions;

/// [rows, keys]
at::Tensor mask_of(const at::Tensor& positions, const at::Tensor& keys, std::int64_t window, at::ScalarType type) {
  auto at = positions.unsqueeze(1);
  auto hidden = keys.gt(at);
  if (window > 0)
    hidden = hidden.logical_or_(keys.le(at - window));
  return at::zeros(hidden.sizes(), positions.options().dtype(type))
      .masked_fill_(hidden, -std::numeric_limits<double>::infinity());
}

/// The part's rows in blocks: bounds the mask of a prompt's rows.
std::vector<part_mask> blocks_of(const at::Tensor& positions, const attending& part, const at::Tensor& keys,
                                 const head_shape& s, std::int64_t window, at::ScalarType type) {
  auto rows = part.tables * part.rows_each, group = s.heads / s.kv_heads;
  if (part.rows_each == 1)
    return {{0, rows,
             mask_of(positions.narrow(0, part.first_row, rows), keys, window, type).view({rows, 1, 1, keys.size(0)})}};
  std::vector<part_mask> out;
  auto most = std::clamp<std::int64_t>(defaults::device_mask_numbers / (group * keys.size(0)), 16, query_rows);
  for (std::int64_t first = 0; first < rows; first += most) {
    auto n = std::min(most, rows - first);
    auto mask = mask_of(positions.narrow(0, part.first_row + first, n), keys, window, type);
    out.push_back({first, n, mask.expand({group, n, keys.size(0)}).reshape({1, 1, group * n, keys.size(0)})});
  }
  return out;
}

} // namespace

part_masks masks_for(const at::Tensor& positions, const std::vector<attending>& parts, const head_shape& s,
                     std::int64_t window, at::ScalarType type) {
  part_masks out;
  for (auto& p : parts)
    out.push_back(blocks_of(positions, p, at::arange(p.pages * per_page, positions.options()), s, window, type));
  return out;
}

paged_kv::paged_kv(std::int64_t pages, const head_shape& shape, at::ScalarType type, at::Device device)
    : shape_(shape),
      pages_(at::empty({pages + 2, per_page, 2 * shape.kv_heads * shape.dim}, at::TensorOptions(device).dtype(type))) {
  pages_.narrow(0, pages, 2).zero_();
}

void paged_kv::write(const at::Tensor& kv, const at::Tensor& slots) {
  pages_.flatten(0, 1).index_copy_(0, slots, kv.flatten(1).to(type()));
}

at::Tensor paged_kv::attend(const at::Tensor& q, const at::Tensor& tables, const std::vector<attending>& parts,
                            const part_masks& masks) const {
  std::vector<at::Tensor> out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto& p = parts[i];
    auto wanted = tables.narrow(0, p.first_table, p.tables).narrow(1, 0, p.pages).reshape({-1});
    auto kv = pages_.index_select(0, wanted).view({p.tables, p.pages * per_page, 2, shape_.kv_heads, shape_.dim});
    for (auto& b : masks[i])
      out.push_back(attend_block(q.narrow(0, p.first_row + b.first, b.count), kv, b.mask));
  }
  return out.size() == 1 ? out.front() : at::cat(out);
}

/// The queries of one head of keys are one matrix, so that no kernel has to know of groups. @param kv [tables, keys, 2,
/// kv_heads, dim]
at::Tensor paged_kv::attend_block(const at::Tensor& q, const at::Tensor& kv, const at::Tensor& mask) const {
  auto& s = shape_;
  auto tables = kv.size(0), each = q.size(0) / tables, group = s.heads / s.kv_heads;
  auto grouped = q.view({tables, each, s.kv_heads, group, s.dim}).permute({0, 2, 3, 1, 4});
  auto out = at::scaled_dot_product_attention(grouped.reshape({tables, s.kv_heads, group * each, s.dim}).to(type()),
                                              kv.select(2, 0).transpose(1, 2), kv.select(2, 1).transpose(1, 2), mask);
  auto rows = out.reshape({tables, s.kv_heads, group, each, s.dim}).permute({0, 3, 1, 2, 4});
  return rows.reshape({tables * each, s.heads * s.dim}).to(q.scalar_type());
}

void paged_kv::clear(const at::Tensor& pages) { pages_.index_fill_(0, pages, 0); }

void paged_kv::clear(page_id page, std::uint32_t from) {
  pages_.select(0, page).narrow(0, from, per_page - from).zero_();
}

void paged_kv::copy(const page_copy& c) {
  pages_.select(0, c.to).narrow(0, 0, c.positions).copy_(pages_.select(0, c.from).narrow(0, 0, c.positions));
  clear(c.to, c.positions);
}

at::Tensor paged_kv::rows(page_id page, std::uint32_t first, std::uint32_t count) const {
  return pages_.select(0, page).narrow(0, first, count);
}

} // namespace virga::models::torch_impl
