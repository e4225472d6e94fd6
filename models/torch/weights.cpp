#include "models/torch/weights_impl.hpp"

#include "models/kernels/kernels.hpp"
#include "models/torch/big_pages_impl.hpp"
#include "models/torch/linear_impl.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace virga::models::torch_impl {

namespace {

/// Elements of one block of widened weights: 4 MB in f32, so that the product finds them in the cache.
constexpr std::int64_t widened_elements = 1 << 20;

at::ScalarType type_of(dtype t) {
  switch (t) {
    case dtype::f64: return at::kDouble;
    case dtype::f32: return at::kFloat;
    case dtype::bf16: return at::kBFloat16;
    case dtype::f16: return at::kHalf;
    case dtype::i8_rows:
    case dtype::int8:
    case dtype::int4: break;
  }
  throw std::logic_error("tensor files hold numbers only");
}

/// Tensors as one matrix, one below the other, read a few rows at a time.
class stack {
public:
  explicit stack(std::vector<at::Tensor> parts) : parts_(std::move(parts)) {
    for (auto& p : parts_)
      outputs_ += p.size(0);
  }
  std::int64_t outputs() const { return outputs_; }
  std::int64_t inputs() const { return parts_.front().size(1); }

  /// [up to count, inputs], contiguous
  at::Tensor rows(std::int64_t first, std::int64_t count, at::ScalarType type) const {
    std::vector<at::Tensor> found;
    for (auto& p : parts_) {
      auto from = std::max<std::int64_t>(first, 0), to = std::min(first + count, p.size(0));
      if (from < to)
        found.push_back(p.narrow(0, from, to - from).to(type));
      first -= p.size(0);
    }
    return found.size() == 1 ? found.front().contiguous() : at::cat(found);
  }

private:
  std::vector<at::Tensor> parts_;
  std::int64_t outputs_ = 0;
};

std::span<const float> numbers(const at::Tensor& t) {
  return {t.const_data_ptr<float>(), static_cast<std::size_t>(t.numel())};
}

product pack(const stack& from, dtype type) {
  product out;
  out.shape = {type, static_cast<std::uint32_t>(from.outputs()), static_cast<std::uint32_t>(from.inputs())};
  out.weight = in_big_pages(static_cast<std::int64_t>(out.shape.bytes()));
  auto* to = static_cast<std::byte*>(out.weight.mutable_data_ptr());
  for (std::int64_t p = 0; p < out.shape.panels(); ++p) {
    auto rows = from.rows(p * kernels::panel_outputs, kernels::panel_outputs, at::kFloat);
    kernels::pack_panel(out.shape, numbers(rows), to + static_cast<std::uint64_t>(p) * out.shape.panel_bytes());
  }
  return out;
}

/// [ids, inputs] f32 of a packed table.
at::Tensor unpacked(const product& p, const std::vector<std::int64_t>& ids) {
  auto out = at::empty({static_cast<std::int64_t>(ids.size()), std::int64_t{p.shape.inputs}});
  auto* to = out.mutable_data_ptr<float>();
  for (std::size_t i = 0; i < ids.size(); ++i)
    kernels::unpack_row(p.shape, static_cast<const std::byte*>(p.weight.const_data_ptr()),
                        static_cast<std::uint32_t>(ids[i]), to + i * p.shape.inputs);
  return out;
}

at::Tensor widened(const product& p) {
  std::vector<std::int64_t> all(p.shape.outputs);
  std::iota(all.begin(), all.end(), 0);
  return unpacked(p, all);
}

} // namespace

at::Tensor product::times(const at::Tensor& x) const {
  if (packed()) {
    auto y = packed_linear(x, weight, shape);
    return bias.defined() ? y.add_(bias) : y;
  }
  if (weight.scalar_type() == x.scalar_type())
    return at::linear(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
  auto y = at::linear(x.to(weight.scalar_type()), weight).to(x.scalar_type());
  return bias.defined() ? y.add_(bias) : y;
}

at::Tensor product::times_unrounded(const at::Tensor& x) const {
  if (packed() || weight.scalar_type() == x.scalar_type())
    return times(x);
  auto outputs = weight.size(0), block = std::max<std::int64_t>(1, widened_elements / weight.size(1));
  auto y = at::empty({x.size(0), outputs}, x.scalar_type());
  for (std::int64_t first = 0; first < outputs; first += block) {
    auto n = std::min(block, outputs - first);
    y.narrow(1, first, n).copy_(at::linear(x, weight.narrow(0, first, n).to(x.scalar_type())));
  }
  return y;
}

at::Tensor product::rows(const std::vector<std::int64_t>& ids, at::ScalarType type) const {
  if (packed())
    return unpacked(*this, ids).to(type);
  auto index = at::from_blob(const_cast<std::int64_t*>(ids.data()), {static_cast<std::int64_t>(ids.size())},
                             at::TensorOptions(at::kLong));
  return weight.index_select(0, index).to(type);
}

weight_types types_for(const shard_options& options) {
  auto blocks = options.compute == dtype::int8 || options.compute == dtype::int4;
  auto fast = kernels::best_kernels().name != kernels::plain_kernels.name;
  auto packed = !options.libtorch_only && options.compute != dtype::f64 && (fast || blocks);
  return {options.compute == dtype::f64 ? at::kDouble : at::kFloat, options.compute, packed};
}

weight_loader::weight_loader(source from, weight_types types, std::uint64_t total_bytes, load_progress progress)
    : from_(std::move(from)), types_(types), total_bytes_(total_bytes), progress_(std::move(progress)) {}

at::Tensor weight_loader::vector(const std::string& name) {
  auto out = mapped(name).to(types_.compute, false, true);
  told(name);
  return out;
}

product weight_loader::stacked(const std::vector<std::string>& names, bool bias) {
  std::vector<std::string> weights;
  std::vector<at::Tensor> biases;
  for (auto& name : names) {
    weights.push_back(name + ".weight");
    if (bias)
      biases.push_back(vector(name + ".bias"));
  }
  auto out = matrix(weights);
  if (bias)
    out.bias = biases.size() == 1 ? biases.front() : at::cat(biases);
  return out;
}

product weight_loader::matrix(const std::vector<std::string>& names) {
  std::vector<at::Tensor> parts;
  for (auto& name : names)
    parts.push_back(mapped(name));
  const stack all(std::move(parts));
  auto blocks = types_.matrices == dtype::int8 || types_.matrices == dtype::int4;
  product out;
  if (types_.packed || blocks)
    out = pack(all, types_.matrices);
  else
    out.weight = all.rows(0, all.outputs(), type_of(types_.matrices)).clone();
  if (!types_.packed && blocks)
    out = {widened(out), {}, {}};
  for (auto& name : names)
    told(name);
  return out;
}

/// The file's own bytes where they are aligned, else a copy.
at::Tensor weight_loader::mapped(const std::string& name) const {
  auto& t = from_(name);
  std::vector<std::int64_t> shape(t.shape.begin(), t.shape.end());
  auto stored = type_of(t.type);
  if (reinterpret_cast<std::uintptr_t>(t.data.data()) % size_of(t.type) == 0)
    return at::from_blob(const_cast<std::byte*>(t.data.data()), shape, at::TensorOptions(stored));
  auto copy = at::empty(shape, stored);
  std::memcpy(copy.mutable_data_ptr(), t.data.data(), t.data.size());
  return copy;
}

void weight_loader::told(const std::string& name) {
  done_bytes_ += from_(name).data.size();
  if (progress_)
    progress_("converting weights", done_bytes_, total_bytes_);
}

} // namespace virga::models::torch_impl
