#include "models/torch/attention_impl.hpp"

#include "models/defaults.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace virga::models::torch_impl {

namespace {

constexpr std::int64_t per_page = defaults::kv_page_positions;

/// Positions [begin, end), [2, kv_heads, end - begin, dim]: a view where one page holds them.
at::Tensor gather(const std::vector<at::Tensor>& pages, std::int64_t begin, std::int64_t end) {
  std::vector<at::Tensor> parts;
  for (auto at = begin; at < end;) {
    auto from = at % per_page, n = std::min(per_page - from, end - at);
    auto& page = pages[static_cast<std::size_t>(at / per_page)];
    parts.push_back(n == per_page ? page : page.narrow(2, from, n));
    at += n;
  }
  return parts.size() == 1 ? parts.front() : at::cat(parts, 2);
}

/// q [count, heads, dim], kv [2, kv_heads, keys, dim] -> [count, heads * dim]
at::Tensor attend_block(const at::Tensor& q, const at::Tensor& kv, const at::Tensor& mask, const head_shape& s) {
  auto count = q.size(0), keys = kv.size(2), group = s.heads / s.kv_heads;
  auto by_group = q.view({count, s.kv_heads, group, s.dim}).permute({1, 2, 0, 3});
  auto grouped = by_group.reshape({s.kv_heads, group * count, s.dim});
  auto score = at::bmm(grouped, kv.select(0, 0).transpose(1, 2)).mul_(1 / std::sqrt(static_cast<double>(s.dim)));
  if (mask.defined())
    score.view({s.kv_heads * group, count, keys}).add_(mask);
  auto out = at::bmm(at::_softmax(score, -1, false), kv.select(0, 1));
  return out.view({s.kv_heads, group, count, s.dim}).permute({2, 0, 1, 3}).reshape({count, s.heads * s.dim});
}

} // namespace

std::vector<query_block> causal_blocks(std::int64_t base, std::int64_t count, std::int64_t window, at::ScalarType type) {
  constexpr auto hidden = -std::numeric_limits<double>::infinity();
  std::vector<query_block> out;
  for (std::int64_t first = 0; first < count; first += query_rows) {
    query_block b{first, std::min(query_rows, count - first), 0, 0, {}};
    auto position = base + first;
    b.key_end = position + b.count;
    b.key_begin = window > 0 ? std::max<std::int64_t>(0, position - window + 1) : 0;
    if (b.count > 1) {
      auto shape = std::vector<std::int64_t>{b.count, b.key_end - b.key_begin};
      b.mask = at::full(shape, hidden, type).triu_(position - b.key_begin + 1);
      if (window > 0)
        b.mask.add_(at::full(shape, hidden, type).tril_(position - b.key_begin - window));
    }
    out.push_back(std::move(b));
  }
  return out;
}

void rotate(at::Tensor x, const turns& turn) {
  auto half = x.size(-1) / 2;
  auto swapped = at::cat({x.narrow(-1, half, half), x.narrow(-1, 0, half)}, -1);
  x.mul_(turn.cos).addcmul_(swapped, turn.sin);
}

void store(const at::Tensor& kv, std::int64_t base, const std::vector<at::Tensor>& pages) {
  for (std::int64_t done = 0, count = kv.size(2); done < count;) {
    auto at = (base + done) % per_page, n = std::min(count - done, per_page - at);
    pages[static_cast<std::size_t>((base + done) / per_page)].narrow(2, at, n).copy_(kv.narrow(2, done, n));
    done += n;
  }
}

at::Tensor attend(const at::Tensor& q, const std::vector<at::Tensor>& pages, const std::vector<query_block>& blocks,
                  const head_shape& s) {
  auto begin = blocks.front().key_begin;
  auto kv = gather(pages, begin, blocks.back().key_end).to(q.scalar_type());
  std::vector<at::Tensor> out;
  for (auto& b : blocks)
    out.push_back(attend_block(q.narrow(0, b.first, b.count),
                               kv.narrow(2, b.key_begin - begin, b.key_end - b.key_begin), b.mask, s));
  return out.size() == 1 ? out.front() : at::cat(out, 0);
}

} // namespace virga::models::torch_impl
