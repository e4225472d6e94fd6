#include "models/torch/decoder_layer_impl.hpp"

#include "models/defaults.hpp"
#include "models/torch/layer_call_impl.hpp"

#include <torch/library.h>

#include <algorithm>
#include <functional>
#include <span>

namespace virga::models::torch_impl {

static_assert(kernels::page_positions == defaults::kv_page_positions);

factor::factor(dtype type, std::int64_t outputs, std::int64_t inputs, const at::Tensor& weight, const at::Tensor& bias,
               std::uint32_t count, room& memory_of_call)
    : shape{type, static_cast<std::uint32_t>(outputs), static_cast<std::uint32_t>(inputs)},
      packed(static_cast<const std::byte*>(weight.const_data_ptr())),
      add(bias.defined() ? bias.const_data_ptr<float>() : nullptr), rows(count), stride(shape.padded_outputs()) {
  TORCH_CHECK(weight.nbytes() == shape.bytes(), "virga::decoder_layer: ", weight.nbytes(), " bytes are no packed [",
              outputs, ", ", inputs, "]");
  memory = memory_of_call.take<std::byte>(kernels::prepared_bytes(shape, rows));
}

void factor::reads(float* x) {
  prepared = kernels::places(shape, rows, shape.type == dtype::f32 ? static_cast<void*>(x) : memory);
}

kernels::prepared_rows factor::from(std::uint32_t row) const {
  auto p = prepared;
  auto size = shape.type == dtype::f32 ? 4u : shape.type == dtype::bf16 ? 2u : 1u;
  p.values = static_cast<const std::byte*>(p.values) + std::uint64_t{row} * p.stride * size;
  p.scales += std::uint64_t{row} * p.blocks;
  p.zeros += std::uint64_t{row} * p.blocks;
  return p;
}

namespace {

dtype kept_as(at::ScalarType t) {
  return t == at::kByte ? dtype::i8_rows : t == at::kBFloat16 ? dtype::bf16 : dtype::f32;
}

} // namespace

layer_call::layer_call(at::Tensor& rows_of_x, at::TensorList weights, at::IntArrayRef n, double epsilon,
                       const at::Tensor& rows, const at::Tensor& turns, const std::optional<at::Tensor>& going_on,
                       at::TensorList histories)
    : k(kernels::best_kernels()), w(weights), type(static_cast<dtype>(n[0])), heads(n[1]), kv_heads(n[2]), dim(n[3]),
      mlp(n[4]), hidden(rows_of_x.size(1)), count(static_cast<std::uint32_t>(rows_of_x.size(0))),
      left(going_on ? static_cast<std::uint32_t>(going_on->numel()) : count),
      kept(going_on ? going_on->const_data_ptr<std::int64_t>() : nullptr),
      eps(static_cast<float>(epsilon)), x(rows_of_x.mutable_data_ptr<float>()),
      places(rows.const_data_ptr<std::int64_t>()), cos(turns.const_data_ptr<float>()),
      sin(cos + rows_of_x.size(0) * dim / 2), layout{kept_as(histories.front().scalar_type()),
                                                     static_cast<std::uint32_t>(kv_heads),
                                                     static_cast<std::uint32_t>(dim)},
      pages(histories) {}

void layer_call::norm(layer_part weight, float* normed, factor& f) const {
  f.reads(normed);
  auto n = static_cast<std::uint32_t>(hidden);
  each_row(f.rows, [&](std::uint32_t r) {
    k.rms_norm(row(r), vector(weight), eps, n, normed + r * hidden);
    k.prepare(f.shape, normed + r * hidden, r, 0, n, f.prepared);
  });
}

void layer_call::prepare(factor& f, float* y) const {
  f.reads(y);
  auto n = f.shape.inputs;
  each_row(f.rows, [&](std::uint32_t r) { k.prepare(f.shape, y + std::uint64_t{r} * n, r, 0, n, f.prepared); });
}

void layer_call::add_product(const factor& f, float* sums) const {
  pieces(f.shape.panels(), grain(f), [&](std::uint32_t first, std::uint32_t last) {
    k.multiply(f.shape, f.packed, f.prepared, f.rows, first, last, sums, f.stride);
    auto from = first * kernels::panel_outputs, to = std::min(last * kernels::panel_outputs, f.shape.outputs);
    for (std::uint32_t r = 0; r < f.rows; ++r) {
      auto *sum = row(r), *one = sums + std::uint64_t{r} * f.stride;
      for (auto i = from; i < to; ++i)
        sum[i] += f.add ? one[i] + f.add[i] : one[i];
    }
  });
}

namespace {

/// The halves of a call; both use the same memory, one after the other.
struct halves {
  halves(const layer_call& c, const at::Tensor& scratch)
      : for_attention(begin(scratch), scratch.nbytes()), for_mlp(begin(scratch), scratch.nbytes()),
        attention(c, for_attention) {
    if (!c.w[output_norm].defined())
      mlp.emplace(c, for_mlp);
  }
  static std::byte* begin(const at::Tensor& t) { return static_cast<std::byte*>(t.mutable_data_ptr()); }
  std::uint64_t bytes() const { return std::max(for_attention.used(), for_mlp.used()); }

  room for_attention, for_mlp;
  attention_half attention;
  std::optional<mlp_half> mlp;  ///< an adapter has none
};

bool are_some_of(std::int64_t rows, const at::Tensor& kept) {
  if (!kept.is_contiguous() || kept.scalar_type() != at::kLong)
    return false;
  const std::span all(kept.const_data_ptr<std::int64_t>(), static_cast<std::size_t>(kept.numel()));
  return all.empty()
         || (all.front() >= 0 && all.back() < rows
             && std::ranges::adjacent_find(all, std::greater_equal()) == all.end());
}

void check(const at::Tensor& x, at::TensorList weights, at::IntArrayRef numbers, const at::Tensor& rows,
           const at::Tensor& turns, const std::optional<at::Tensor>& kept, at::TensorList pages) {
  TORCH_CHECK(x.dim() == 2 && x.is_contiguous() && x.scalar_type() == at::kFloat,
              "virga::decoder_layer: x must be contiguous f32 [rows, hidden]");
  TORCH_CHECK(weights.size() == layer_parts && numbers.size() == 5 && !pages.empty(),
              "virga::decoder_layer: parts are missing");
  TORCH_CHECK(rows.size(0) == x.size(0) && rows.size(1) == 3 && rows.is_contiguous() && rows.scalar_type() == at::kLong
                  && turns.is_contiguous() && turns.numel() == x.size(0) * numbers[3],
              "virga::decoder_layer: places and turns must be those of the rows");
  TORCH_CHECK(!kept || are_some_of(x.size(0), *kept),
              "virga::decoder_layer: the rows that go on must be rows of x, in their order");
}

void run_layer(at::Tensor& x, at::TensorList weights, at::IntArrayRef numbers, double eps, const at::Tensor& rows,
               const at::Tensor& turns, const std::optional<at::Tensor>& kept, at::TensorList pages,
               at::Tensor& scratch) {
  check(x, weights, numbers, rows, turns, kept, pages);
  const layer_call call(x, weights, numbers, eps, rows, turns, kept, pages);
  std::optional<halves> parts(std::in_place, call, scratch);
  if (auto need = parts->bytes(); scratch.nbytes() < need) {
    scratch = at::empty({static_cast<std::int64_t>(need)}, at::kByte);  // contents of old are nobody's
    parts.emplace(call, scratch);
  }
  parts->attention.run();
  if (call.left > 0 && parts->mlp)
    parts->mlp->run();
  if (!parts->mlp)
    call.each_row(call.left, [&](std::uint32_t r) {
      call.k.rms_norm(call.row(r), call.vector(output_norm), call.eps, static_cast<std::uint32_t>(call.hidden),
                      call.row(r));
    });
}

TORCH_LIBRARY_FRAGMENT(virga, m) {
  m.def("decoder_layer(Tensor(a!) x, Tensor[] weights, int[] numbers, float eps, Tensor rows, Tensor turns, "
        "Tensor? kept, Tensor(b!)[] pages, Tensor(c!) scratch) -> ()");
}

TORCH_LIBRARY_IMPL(virga, CPU, m) { m.impl("decoder_layer", run_layer); }

} // namespace

void decoder_layer(at::Tensor& x, const layer_weights& w, const layer_numbers& n, const row_places& at,
                   at::TensorList pages, at::Tensor& scratch) {
  static const auto call =
      c10::Dispatcher::singleton().findSchemaOrThrow("virga::decoder_layer", "").typed<decltype(run_layer)>();
  const std::array<std::int64_t, 5> numbers{static_cast<std::int64_t>(n.type), n.heads, n.kv_heads, n.dim, n.mlp};
  call.call(x, w, numbers, n.eps, at.rows, at.turns, at.kept, pages, scratch);
}

} // namespace virga::models::torch_impl
