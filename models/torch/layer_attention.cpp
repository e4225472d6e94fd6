#include "models/torch/layer_call_impl.hpp"

#include <algorithm>
#include <cmath>

namespace virga::models::torch_impl {

namespace {

std::uint32_t width(std::int64_t n) { return static_cast<std::uint32_t>(n); }

} // namespace

attention_half::attention_half(const layer_call& c, room& memory)
    : c_(c), in_(c.type, (c.heads + 2 * c.kv_heads) * c.dim, c.hidden, c.w[qkv], c.w[qkv_bias], c.count, memory),
      out_(c.type, c.hidden, c.heads * c.dim, c.w[o], c.w[o_bias], c.left, memory) {
  normed_ = memory.take<float>(std::uint64_t{c.count} * static_cast<std::uint64_t>(c.hidden));
  rows_ = memory.take<float>(std::uint64_t{c.count} * in_.stride);
  mixed_ = memory.take<float>(std::uint64_t{c.left} * out_.shape.inputs);
  sums_ = memory.take<float>(std::uint64_t{c.left} * out_.stride);
  std::int64_t longest = 0;
  for (std::uint32_t r = 0; r < c.count; ++r)
    longest = std::max(longest, c.places[r * 3] - c.places[r * 3 + 1]);
  room_ = kernels::attention_room(width(c.dim), static_cast<std::uint64_t>(longest / kernels::page_positions + 2));
  workers_ = std::min<std::int64_t>(at::get_num_threads(), c.kv_heads * c.left);
  scores_ = memory.take<float>(static_cast<std::uint64_t>(workers_) * room_);
  pages_ = memory.take<void*>(c.pages.size());
}

void attention_half::run() {
  for (std::size_t i = 0; i < c_.pages.size(); ++i)
    pages_[i] = c_.pages[i].mutable_data_ptr();
  c_.norm(attention_norm, normed_, in_);
  c_.pieces(in_.shape.panels(), c_.grain(in_), [&](std::uint32_t first, std::uint32_t last) {
    c_.k.multiply(in_.shape, in_.packed, in_.prepared, c_.count, first, last, rows_, in_.stride);
  });
  c_.each_row(c_.count, [&](std::uint32_t r) { keep(r); });
  if (c_.left == 0)
    return;
  attend();
  move_kept_rows();
  c_.prepare(out_, mixed_);
  c_.add_product(out_, sums_);
}

/// Bias, norms of heads, rotation; then the row's keys and values into their page.
void attention_half::keep(std::uint32_t r) {
  auto* y = rows_ + std::uint64_t{r} * in_.stride;
  if (in_.add)
    for (std::uint32_t i = 0; i < in_.shape.outputs; ++i)
      y[i] += in_.add[i];
  auto half = width(c_.dim / 2);
  for (std::int64_t h = 0; h < c_.heads + c_.kv_heads; ++h) {
    auto* head = y + h * c_.dim;
    if (c_.w[q_norm].defined())
      c_.k.rms_norm(head, c_.vector(h < c_.heads ? q_norm : k_norm), c_.eps, width(c_.dim), head);
    c_.k.rotate(head, c_.cos + std::uint64_t{r} * half, c_.sin + std::uint64_t{r} * half, half);
  }
  auto position = c_.places[r * 3];
  auto index = static_cast<std::size_t>(c_.places[r * 3 + 2] + position / kernels::page_positions);
  for (std::int64_t h = 0; h < c_.kv_heads; ++h)
    c_.k.keep(y + (c_.heads + h) * c_.dim, y + (c_.heads + c_.kv_heads + h) * c_.dim, width(c_.dim), c_.layout.type,
              width(position % kernels::page_positions), pages_[index], c_.layout.place(width(h)));
}

void attention_half::move_kept_rows() {
  if (c_.kept)
    for (std::uint32_t i = 0; i < c_.left; ++i)
      std::copy_n(c_.row(c_.kept_row(i)), c_.hidden, c_.row(i));
}

/// Every (row, head of keys) apart. Rows see different numbers of positions: each worker takes every so many-th.
void attention_half::attend() {
  auto tasks = c_.kv_heads * c_.left;
  at::parallel_for(0, workers_, 1, [&](std::int64_t first, std::int64_t last) {
    for (auto w = first; w < last; ++w)
      for (auto i = w; i < tasks; i += workers_)
        attend_row(width(i / c_.kv_heads), i % c_.kv_heads, scores_ + static_cast<std::uint64_t>(w) * room_);
  });
}

void attention_half::attend_row(std::uint32_t i, std::int64_t head, float* room) {
  auto group = c_.heads / c_.kv_heads;
  auto r = c_.kept_row(i);
  kernels::attention_task t;
  t.q = rows_ + std::uint64_t{r} * in_.stride + head * group * c_.dim;
  t.out = mixed_ + (std::int64_t{i} * c_.heads + head * group) * c_.dim;
  t.queries = width(group);
  t.dim = width(c_.dim);
  t.scale = 1 / std::sqrt(static_cast<float>(c_.dim));
  t.pages = pages_ + c_.places[r * 3 + 2];
  t.type = c_.layout.type;
  t.at = c_.layout.place(width(head));
  t.begin = static_cast<std::uint64_t>(c_.places[r * 3 + 1]);
  t.end = static_cast<std::uint64_t>(c_.places[r * 3]) + 1;
  t.room = room;
  c_.k.attend(t);
}

} // namespace virga::models::torch_impl
