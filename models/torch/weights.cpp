#include "models/torch/weights_impl.hpp"

#include "models/hf/pack.hpp"
#include "models/hf/stored.hpp"
#include "models/kernels/kernels.hpp"
#include "models/torch/big_pages_impl.hpp"
#include "models/torch/linear_impl.hpp"

#include <ATen/Parallel.h>

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

constexpr std::size_t cache_line = 64;

/// Panels that a thread packs at once.
constexpr std::int64_t panels_each = 4;

product pack(const hf::packer& from) {
  product out;
  out.shape = from.shape();
  out.weight = in_big_pages(static_cast<std::int64_t>(out.shape.bytes()));
  auto* to = static_cast<std::byte*>(out.weight.mutable_data_ptr());
  at::parallel_for(0, out.shape.panels(), panels_each, [&](std::int64_t first, std::int64_t last) {
    from.pack(static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last),
              to + static_cast<std::uint64_t>(first) * out.shape.panel_bytes());
  });
  return out;
}

/// [outputs, inputs] f32
at::Tensor widened(const product& p) {
  std::vector<token_id> all(p.shape.outputs);
  std::iota(all.begin(), all.end(), 0);
  auto out = at::empty({std::int64_t{p.shape.outputs}, std::int64_t{p.shape.inputs}});
  p.rows(all, out.mutable_data_ptr<float>());
  return out;
}

} // namespace

at::Tensor product::times(const at::Tensor& x) const {
  if (packed()) {
    auto y = packed_linear(x, weight, shape);
    return bias.defined() ? y.add_(bias) : y;
  }
  if (weight.scalar_type() == x.scalar_type())
    return at::linear(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
  auto narrow = x.to(weight.scalar_type());
  auto y = x.is_cuda() ? at::mm(narrow, weight.t(), x.scalar_type()) : at::linear(narrow, weight).to(x.scalar_type());
  return bias.defined() ? y.add_(bias) : y;
}

at::Tensor product::times_unrounded(const at::Tensor& x) const {
  if (packed() || x.is_cuda() || weight.scalar_type() == x.scalar_type())
    return times(x);
  auto outputs = weight.size(0), block = std::max<std::int64_t>(1, widened_elements / weight.size(1));
  auto y = at::empty({x.size(0), outputs}, x.scalar_type());
  for (std::int64_t first = 0; first < outputs; first += block) {
    auto n = std::min(block, outputs - first);
    y.narrow(1, first, n).copy_(at::linear(x, weight.narrow(0, first, n).to(x.scalar_type())));
  }
  return y;
}

void product::rows(std::span<const token_id> ids, float* to) const {
  auto* bytes = static_cast<const std::byte*>(weight.const_data_ptr());
  for (auto id : ids) {
    kernels::unpack_row(shape, bytes, id, to);
    to += shape.inputs;
  }
}

at::Tensor product::rows(const std::vector<std::int64_t>& ids, at::ScalarType type) const {
  auto index = at::from_blob(const_cast<std::int64_t*>(ids.data()), {static_cast<std::int64_t>(ids.size())},
                             at::TensorOptions(at::kLong));
  return weight.index_select(0, index).to(type);
}

weight_types types_for(const hf::model_folder& folder, const shard_options& options) {
  folder.need_dtype(options.compute);
  auto blocks = options.compute == dtype::int8 || options.compute == dtype::int4;
  auto fast = kernels::best_kernels().name != kernels::plain_kernels.name;
  auto packed = !options.libtorch_only && options.compute != dtype::f64 && (fast || blocks || folder.packed());
  return {options.compute == dtype::f64 ? at::kDouble : at::kFloat, options.compute, packed};
}

weight_loader::weight_loader(source from, weight_types types, std::uint64_t total_bytes, load_progress progress,
                             std::shared_ptr<const void> kept)
    : from_(std::move(from)), types_(types), total_bytes_(total_bytes), progress_(std::move(progress)),
      kept_(std::move(kept)) {}

at::Tensor weight_loader::vector(const std::string& name) {
  auto out = mapped(from_(name)).to(types_.device, types_.compute, false, !kept_);
  told(name);
  return out;
}

product weight_loader::stacked(const std::vector<std::string>& names, bool bias) {
  if (kept_ && names.size() > 1)
    return stacked({hf::stored_name(names)}, bias);
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
  std::vector<hf::tensor_view> parts;
  for (auto& name : names)
    parts.push_back(from_(name));
  const bool blocks = types_.matrices == dtype::int8 || types_.matrices == dtype::int4;
  product out;
  if (parts.front().packed)
    out = mapped_product(parts.front());
  else if (types_.packed || blocks)
    out = pack({std::move(parts), types_.matrices});
  else
    out.weight = numbers(parts).to(types_.device);
  if (!types_.packed && out.packed())
    out = {widened(out).to(types_.device, blocks ? at::kFloat : type_of(types_.matrices)), {}, {}};
  for (auto& name : names)
    told(name);
  return out;
}

at::Tensor weight_loader::numbers(const std::vector<hf::tensor_view>& parts) const {
  std::vector<at::Tensor> out;
  for (auto& p : parts)
    out.push_back(mapped(p).to(type_of(types_.matrices), false, true));
  return out.size() == 1 ? out.front() : at::cat(out);
}

/// The file's own bytes, which the kernels want on whole cache lines; else a copy.
product weight_loader::mapped_product(const hf::tensor_view& t) const {
  product out;
  out.shape = {t.type, static_cast<std::uint32_t>(t.shape[0]), static_cast<std::uint32_t>(t.shape[1])};
  out.weight = mapped(t, {static_cast<std::int64_t>(t.data.size())}, at::kByte, cache_line);
  return out;
}

at::Tensor weight_loader::mapped(const hf::tensor_view& t) const {
  return mapped(t, {t.shape.begin(), t.shape.end()}, type_of(t.type), size_of(t.type));
}

/// The file's own bytes where they are aligned, else a copy.
at::Tensor weight_loader::mapped(const hf::tensor_view& t, const std::vector<std::int64_t>& shape, at::ScalarType type,
                                 std::size_t alignment) const {
  if (reinterpret_cast<std::uintptr_t>(t.data.data()) % alignment == 0)
    return at::from_blob(
        const_cast<std::byte*>(t.data.data()), shape, [kept = kept_](void*) {}, at::TensorOptions(type));
  auto copy = at::empty(shape, type);
  std::memcpy(copy.mutable_data_ptr(), t.data.data(), t.data.size());
  return copy;
}

void weight_loader::told(const std::string& name) {
  done_bytes_ += from_(name).data.size();
  if (progress_)
    progress_(kept_ ? "mapping weights" : "converting weights", done_bytes_, total_bytes_);
}

} // namespace virga::models::torch_impl
