#include "models/torch/weights_impl.hpp"

#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <cstring>

namespace virga::models::torch_impl {

namespace {

/// Elements of the smallest matrix that is packed: below it a call's own cost decides.
constexpr std::int64_t packed_elements = 1 << 18;

/// Rows that a packed layout is made for. It takes any number; measured from 1 to 512 rows, this one is the best or close to it.
constexpr std::int64_t packed_for_rows = 64;

using reorder = at::Tensor(const at::Tensor& weight, std::optional<std::int64_t> rows);
using pointwise = at::Tensor(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias, std::string_view,
                             c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);

template <class Signature>
auto find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

/// Elements of one block of widened weights: 4 MB in f32, so that the product finds them in the cache.
constexpr std::int64_t widened_elements = 1 << 20;

at::ScalarType type_of(dtype t) {
  switch (t) {
    case dtype::f64: return at::kDouble;
    case dtype::f32: return at::kFloat;
    case dtype::bf16: return at::kBFloat16;
    case dtype::f16: return at::kHalf;
    case dtype::i8_rows: break;
  }
  throw std::logic_error("tensor files hold no i8_rows");
}

} // namespace

void product::pack() {
  if (weight.scalar_type() != at::kFloat || weight.numel() < packed_elements || !at::globalContext().userEnabledMkldnn()
      || !at::hasMKLDNN())
    return;
  static const auto pack_weight = find_operator<reorder>("mkldnn::_reorder_linear_weight");
  weight = pack_weight.call(weight, packed_for_rows);
  packed = true;
}

at::Tensor product::times(const at::Tensor& x) const {
  const auto add = bias.defined() ? std::optional(bias) : std::nullopt;
  if (packed) {
    static const auto linear = find_operator<pointwise>("mkldnn::_linear_pointwise");
    return linear.call(x, weight, add, "none", c10::List<std::optional<at::Scalar>>{}, "");
  }
  if (weight.scalar_type() == x.scalar_type())
    return at::linear(x, weight, add);
  auto y = at::linear(x.to(weight.scalar_type()), weight).to(x.scalar_type());
  return bias.defined() ? y.add_(bias) : y;
}

at::Tensor product::times_widened(const at::Tensor& x) const {
  if (weight.scalar_type() == x.scalar_type())
    return times(x);
  auto outputs = weight.size(0), block = std::max<std::int64_t>(1, widened_elements / weight.size(1));
  auto y = at::empty({x.size(0), outputs}, x.scalar_type());
  for (std::int64_t first = 0; first < outputs; first += block) {
    auto n = std::min(block, outputs - first);
    y.narrow(1, first, n).copy_(at::linear(x, weight.narrow(0, first, n).to(x.scalar_type())));
  }
  return y;
}

weight_loader::weight_loader(source from, at::ScalarType compute, at::ScalarType weights, std::uint64_t total_bytes,
                             load_progress progress)
    : from_(std::move(from)), compute_(compute), weights_(weights), total_bytes_(total_bytes), progress_(std::move(progress)) {}

at::Tensor weight_loader::vector(const std::string& name) { return read(name, compute_); }

at::Tensor weight_loader::matrix(const std::string& name) { return read(name, weights_); }

product weight_loader::stacked(const std::vector<std::string>& names, bool bias) {
  std::vector<at::Tensor> weights, biases;
  for (auto& name : names) {
    weights.push_back(matrix(name + ".weight"));
    if (bias)
      biases.push_back(vector(name + ".bias"));
  }
  auto join = [](const std::vector<at::Tensor>& all) { return all.size() == 1 ? all.front() : at::cat(all); };
  product out{join(weights), bias ? join(biases) : at::Tensor{}};
  out.pack();
  return out;
}

/// Straight from the mapped file where its bytes are aligned.
at::Tensor weight_loader::read(const std::string& name, at::ScalarType type) {
  auto& t = from_(name);
  std::vector<std::int64_t> shape(t.shape.begin(), t.shape.end());
  auto stored = type_of(t.type);
  at::Tensor out;
  if (reinterpret_cast<std::uintptr_t>(t.data.data()) % size_of(t.type) == 0) {
    auto mapped = at::from_blob(const_cast<std::byte*>(t.data.data()), shape, at::TensorOptions(stored));
    out = mapped.to(type, false, true);
  } else {
    auto copy = at::empty(shape, stored);
    std::memcpy(copy.mutable_data_ptr(), t.data.data(), t.data.size());
    out = copy.to(type);
  }
  done_bytes_ += t.data.size();
  if (progress_)
    progress_("converting weights", done_bytes_, total_bytes_);
  return out;
}

} // namespace virga::models::torch_impl
