#include "models/torch/decoder_layer_impl.hpp"

#include "models/defaults.hpp"
#include "models/kernels/kernels.hpp"
#include "models/torch/linear_impl.hpp"

#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace virga::models::torch_impl {

namespace {

static_assert(kernels::page_positions == defaults::kv_page_positions);

using std::uint32_t;

/// Rows of one piece of gate and up, so that it stays in the cache until it is multiplied; what tiles divide evenly.
constexpr uint32_t mlp_rows = 48;

/// Rows of queries at most that attention keeps scores of.
constexpr std::int64_t score_rows = 7;

/// Places of `weights` in the operator's list.
enum part : std::size_t {
  attention_norm,
  q_norm,
  k_norm,
  qkv,
  qkv_bias,
  o,
  o_bias,
  mlp_norm,
  gate_up,
  gate_up_bias,
  down,
  down_bias,
  output_norm,
  parts
};

const float* floats(const at::Tensor& t) { return t.defined() ? t.const_data_ptr<float>() : nullptr; }

/// [first, last) in pieces for libtorch's threads.
template <class F>
void pieces(std::int64_t count, std::int64_t grain, const F& f) {
  at::parallel_for(0, count, grain, [&](std::int64_t first, std::int64_t last) {
    f(static_cast<uint32_t>(first), static_cast<uint32_t>(last));
  });
}

/// One matrix and the rows that it multiplies.
struct factor {
  factor(dtype type, std::int64_t outputs, std::int64_t inputs, const at::Tensor& weight, const at::Tensor& bias,
         uint32_t rows)
      : shape{type, static_cast<uint32_t>(outputs), static_cast<uint32_t>(inputs)},
        packed(static_cast<const std::byte*>(weight.const_data_ptr())), add(floats(bias)),
        stride(shape.padded_outputs()) {
    TORCH_CHECK(weight.nbytes() == shape.bytes(), "virga::decoder_layer: ", weight.nbytes(), " bytes are no packed [",
                outputs, ", ", inputs, "]");
    if (type != dtype::f32)
      room = at::empty({static_cast<std::int64_t>(kernels::prepared_bytes(shape, rows))}, at::kByte);
  }

  void reads(float* x, uint32_t rows) {
    prepared = kernels::places(shape, rows, shape.type == dtype::f32 ? static_cast<void*>(x) : room.mutable_data_ptr());
  }

  /// Those of these rows on.
  kernels::prepared_rows from(uint32_t row) const {
    auto p = prepared;
    auto size = shape.type == dtype::f32 ? 4u : shape.type == dtype::bf16 ? 2u : 1u;
    p.values = static_cast<const std::byte*>(p.values) + std::uint64_t{row} * p.stride * size;
    p.scales += std::uint64_t{row} * p.blocks;
    p.zeros += std::uint64_t{row} * p.blocks;
    return p;
  }

  kernels::packed_shape shape;
  const std::byte* packed;
  const float* add;  ///< bias, or null
  uint32_t stride;   ///< of its outputs
  at::Tensor room;
  kernels::prepared_rows prepared;
};

class layer_run {
public:
  layer_run(at::Tensor& x, at::TensorList w, at::IntArrayRef n, double eps, const at::Tensor& rows,
            const at::Tensor& turns, at::TensorList pages)
      : k_(kernels::best_kernels()), w_(w), type_(static_cast<dtype>(n[0])), heads_(n[1]), kv_heads_(n[2]), dim_(n[3]),
        mlp_(n[4]), hidden_(x.size(1)), count_(static_cast<uint32_t>(x.size(0))), eps_(static_cast<float>(eps)),
        x_(x.mutable_data_ptr<float>()), places_(rows.const_data_ptr<std::int64_t>()),
        cos_(turns.const_data_ptr<float>()), sin_(cos_ + x.size(0) * dim_ / 2),
        bf16_(pages.front().scalar_type() == at::kBFloat16) {
    for (auto& p : pages)
      pages_.push_back(p.mutable_data_ptr());
  }

  void run() {
    attention();
    if (w_[output_norm].defined())
      each_row([&](uint32_t r) { k_.rms_norm(row(r), floats(w_[output_norm]), eps_, width(hidden_), row(r)); });
    else
      mlp();
  }

private:
  static uint32_t width(std::int64_t n) { return static_cast<uint32_t>(n); }
  float* row(uint32_t r) { return x_ + r * hidden_; }

  template <class F>
  void each_row(const F& f) {
    pieces(count_, 4, [&](uint32_t first, uint32_t last) {
      for (auto r = first; r < last; ++r)
        f(r);
    });
  }

  at::Tensor room(std::int64_t columns) { return at::empty({std::int64_t{count_} * columns}, at::kFloat); }

  /// Norms x into `normed` and makes the product's rows of it.
  void norm(part weight, float* normed, factor& f) {
    f.reads(normed, count_);
    each_row([&](uint32_t r) {
      k_.rms_norm(row(r), floats(w_[weight]), eps_, width(hidden_), normed + r * hidden_);
      k_.prepare(f.shape, normed, width(hidden_), r, r + 1, f.prepared);
    });
  }

  /// Adds x times f to the residual rows.
  void add_product(factor& f, float* x) {
    f.reads(x, count_);
    auto inputs = f.shape.inputs;
    each_row([&](uint32_t r) { k_.prepare(f.shape, x, inputs, r, r + 1, f.prepared); });
    auto out = room(f.stride);
    auto* y = out.mutable_data_ptr<float>();
    pieces(f.shape.panels(), grain(f), [&](uint32_t first, uint32_t last) {
      k_.multiply(f.shape, f.packed, f.prepared, count_, first, last, y, f.stride);
      auto from = first * kernels::panel_outputs, to = std::min(last * kernels::panel_outputs, f.shape.outputs);
      for (uint32_t r = 0; r < count_; ++r) {
        auto *sum = row(r), *one = y + std::uint64_t{r} * f.stride;
        for (auto i = from; i < to; ++i)
          sum[i] += f.add ? one[i] + f.add[i] : one[i];
      }
    });
  }

  std::int64_t grain(const factor& f) const { return panels_at_once(f.shape, count_); }

  void attention() {
    factor in(type_, (heads_ + 2 * kv_heads_) * dim_, hidden_, w_[qkv], w_[qkv_bias], count_);
    factor out(type_, hidden_, heads_ * dim_, w_[o], w_[o_bias], count_);
    auto normed = room(hidden_), rows = room(in.stride), mixed = room(heads_ * dim_);
    norm(attention_norm, normed.mutable_data_ptr<float>(), in);
    auto* y = rows.mutable_data_ptr<float>();
    pieces(in.shape.panels(), grain(in), [&](uint32_t first, uint32_t last) {
      k_.multiply(in.shape, in.packed, in.prepared, count_, first, last, y, in.stride);
    });
    each_row([&](uint32_t r) { keep(r, y + std::uint64_t{r} * in.stride, in); });
    attend(y, in.stride, mixed.mutable_data_ptr<float>());
    add_product(out, mixed.mutable_data_ptr<float>());
  }

  /// Bias, norms of heads, rotation; then the row's keys and values into their page.
  void keep(uint32_t r, float* y, const factor& f) {
    if (f.add)
      for (uint32_t i = 0; i < f.shape.outputs; ++i)
        y[i] += f.add[i];
    auto half = width(dim_ / 2);
    for (std::int64_t h = 0; h < heads_ + kv_heads_; ++h) {
      auto* head = y + h * dim_;
      if (w_[q_norm].defined())
        k_.rms_norm(head, floats(w_[h < heads_ ? q_norm : k_norm]), eps_, width(dim_), head);
      k_.rotate(head, cos_ + std::uint64_t{r} * half, sin_ + std::uint64_t{r} * half, half);
    }
    auto position = places_[r * 3];
    auto* page = page_of(r, position / kernels::page_positions);
    for (std::int64_t h = 0; h < kv_heads_; ++h)
      k_.keep(y + (heads_ + h) * dim_, y + (heads_ + kv_heads_ + h) * dim_, width(dim_), bf16_,
              width(position % kernels::page_positions), at(page, key_offset(h)), at(page, value_offset(h)));
  }

  void* page_of(uint32_t r, std::int64_t index) const {
    return pages_[static_cast<std::size_t>(places_[r * 3 + 2] + index)];
  }
  std::int64_t key_offset(std::int64_t head) const { return head * dim_ * kernels::page_positions; }
  std::int64_t value_offset(std::int64_t head) const { return (kv_heads_ + head) * dim_ * kernels::page_positions; }
  void* at(void* page, std::int64_t number) const { return static_cast<std::byte*>(page) + number * (bf16_ ? 2 : 4); }

  /// Every (row, head of keys) apart. Rows see different numbers of positions: each worker takes every so many-th.
  void attend(const float* y, uint32_t stride, float* out) {
    auto tasks = kv_heads_ * count_, workers = std::min<std::int64_t>(at::get_num_threads(), tasks);
    std::int64_t longest = 0;
    for (uint32_t r = 0; r < count_; ++r)
      longest = std::max(longest, places_[r * 3] - places_[r * 3 + 1]);
    auto per_row = (longest / kernels::page_positions + 2) * kernels::page_positions;
    auto scores = at::empty({workers, score_rows * per_row}, at::kFloat);
    at::parallel_for(0, workers, 1, [&](std::int64_t first, std::int64_t last) {
      for (auto w = first; w < last; ++w)
        for (auto i = w; i < tasks; i += workers)
          attend_row(static_cast<uint32_t>(i / kv_heads_), i % kv_heads_, y, stride, out,
                     scores.mutable_data_ptr<float>() + w * score_rows * per_row, per_row);
    });
  }

  void attend_row(uint32_t r, std::int64_t head, const float* y, uint32_t stride, float* out, float* scores,
                  std::int64_t per_row) {
    auto group = heads_ / kv_heads_;
    kernels::attention_task t;
    t.q = y + std::uint64_t{r} * stride + head * group * dim_;
    t.out = out + (std::int64_t{r} * heads_ + head * group) * dim_;
    t.queries = width(group);
    t.dim = width(dim_);
    t.scale = 1 / std::sqrt(static_cast<float>(dim_));
    t.pages = pages_.data() + places_[r * 3 + 2];
    t.bf16 = bf16_;
    t.key_offset = static_cast<std::uint64_t>(key_offset(head));
    t.value_offset = static_cast<std::uint64_t>(value_offset(head));
    t.begin = static_cast<std::uint64_t>(places_[r * 3 + 1]);
    t.end = static_cast<std::uint64_t>(places_[r * 3]) + 1;
    t.scores = scores;
    t.scores_stride = static_cast<std::uint64_t>(per_row);
    k_.attend(t);
  }

  void mlp() {
    factor both(type_, 2 * mlp_, hidden_, w_[gate_up], w_[gate_up_bias], count_);
    factor out(type_, hidden_, mlp_, w_[down], w_[down_bias], count_);
    auto normed = room(hidden_), mixed = room(mlp_);
    norm(mlp_norm, normed.mutable_data_ptr<float>(), both);
    if (mlp_ % kernels::panel_outputs == 0)
      by_panels(both, mixed.mutable_data_ptr<float>());
    else
      whole(both, mixed.mutable_data_ptr<float>());
    add_product(out, mixed.mutable_data_ptr<float>());
  }

  /// Two panels of gate, the two of up, and their product while they are in the cache.
  void by_panels(const factor& f, float* mixed) {
    constexpr uint32_t width_at_once = 2 * kernels::panel_outputs;
    auto panels = width(mlp_) / kernels::panel_outputs;
    pieces((panels + 1) / 2, std::max<std::int64_t>(1, grain(f) / 4), [&](uint32_t first, uint32_t last) {
      alignas(64) float gate[mlp_rows * width_at_once], up[mlp_rows * width_at_once];
      for (auto p = first * 2; p < std::min(last * 2, panels); p += 2)
        for (uint32_t r = 0; r < count_; r += mlp_rows) {
          auto rows = std::min(mlp_rows, count_ - r), n = std::min(2u, panels - p);
          part_of(f, p, n, r, rows, gate);
          part_of(f, panels + p, n, r, rows, up);
          for (uint32_t i = 0; i < rows; ++i)
            k_.swiglu(gate + i * width_at_once, up + i * width_at_once, n * kernels::panel_outputs,
                      mixed + std::uint64_t{r + i} * width(mlp_) + p * kernels::panel_outputs);
        }
    });
  }

  void part_of(const factor& f, uint32_t panel, uint32_t panels, uint32_t r, uint32_t rows, float* out) const {
    constexpr uint32_t stride = 2 * kernels::panel_outputs;
    k_.multiply(f.shape, f.packed + panel * f.shape.panel_bytes(), f.from(r), rows, 0, panels, out, stride);
    for (uint32_t i = 0; f.add && i < rows; ++i)
      for (uint32_t o = 0; o < panels * kernels::panel_outputs; ++o)
        out[i * stride + o] += f.add[panel * kernels::panel_outputs + o];
  }

  void whole(const factor& f, float* mixed) {
    auto all = room(f.stride);
    auto* y = all.mutable_data_ptr<float>();
    pieces(f.shape.panels(), grain(f), [&](uint32_t first, uint32_t last) {
      k_.multiply(f.shape, f.packed, f.prepared, count_, first, last, y, f.stride);
    });
    each_row([&](uint32_t r) {
      auto* one = y + std::uint64_t{r} * f.stride;
      for (uint32_t i = 0; f.add && i < f.shape.outputs; ++i)
        one[i] += f.add[i];
      k_.swiglu(one, one + mlp_, width(mlp_), mixed + std::uint64_t{r} * width(mlp_));
    });
  }

  const kernels::kernel_set& k_;
  at::TensorList w_;
  dtype type_;
  std::int64_t heads_, kv_heads_, dim_, mlp_, hidden_;
  uint32_t count_;
  float eps_;
  float* x_;
  const std::int64_t* places_;
  const float *cos_, *sin_;
  bool bf16_;
  std::vector<void*> pages_;
};

void run_layer(at::Tensor& x, at::TensorList weights, at::IntArrayRef numbers, double eps, const at::Tensor& rows,
               const at::Tensor& turns, at::TensorList pages) {
  TORCH_CHECK(x.dim() == 2 && x.is_contiguous() && x.scalar_type() == at::kFloat,
              "virga::decoder_layer: x must be contiguous f32 [rows, hidden]");
  TORCH_CHECK(weights.size() == parts && numbers.size() == 5 && !pages.empty(),
              "virga::decoder_layer: parts are missing");
  TORCH_CHECK(rows.size(0) == x.size(0) && rows.size(1) == 3 && rows.is_contiguous() && rows.scalar_type() == at::kLong
                  && turns.is_contiguous() && turns.numel() == x.size(0) * numbers[3],
              "virga::decoder_layer: places and turns must be those of the rows");
  layer_run(x, weights, numbers, eps, rows, turns, pages).run();
}

TORCH_LIBRARY_FRAGMENT(virga, m) {
  m.def("decoder_layer(Tensor(a!) x, Tensor[] weights, int[] numbers, float eps, Tensor rows, Tensor turns, "
        "Tensor(b!)[] pages) -> ()");
}

TORCH_LIBRARY_IMPL(virga, CPU, m) { m.impl("decoder_layer", run_layer); }

} // namespace

void decoder_layer(at::Tensor& x, const layer_weights& w, const layer_numbers& n, const row_places& at,
                   at::TensorList pages) {
  static const auto call =
      c10::Dispatcher::singleton().findSchemaOrThrow("virga::decoder_layer", "").typed<decltype(run_layer)>();
  const std::array<at::Tensor, parts> all{
      w.attention_norm, w.q_norm,  w.k_norm,       w.qkv,  w.qkv_bias,  w.o,          w.o_bias,
      w.mlp_norm,       w.gate_up, w.gate_up_bias, w.down, w.down_bias, w.output_norm};
  const std::array<std::int64_t, 5> numbers{static_cast<std::int64_t>(n.type), n.heads, n.kv_heads, n.dim, n.mlp};
  call.call(x, all, numbers, n.eps, at.rows, at.turns, pages);
}

} // namespace virga::models::torch_impl
