// models/torch/weights_impl.hpp: weights of a folder as libtorch tensors. Private to models/torch.
#pragma once

#include "models/kernels/packed.hpp"
#include "models/make_shard.hpp"

#include <ATen/ATen.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace virga::models::torch_impl {

/// A weight matrix [outputs, inputs] and its bias [outputs] in the compute dtype, or none. Packed for our kernels, or
/// as libtorch's own operators take it: f64, f32 or bf16.
struct product {
  at::Tensor weight;  ///< packed: bytes (models/kernels/packed.hpp)
  at::Tensor bias;
  kernels::packed_shape shape{};  ///< of a packed one; else no outputs

  bool packed() const { return shape.outputs > 0; }
  bool defined() const { return weight.defined(); }

  /// x [rows, inputs] in the compute dtype -> [rows, outputs] in the compute dtype; the last dimension is contiguous.
  /// Packed bf16: the operands are bf16, the sums f32, as on a GPU. libtorch's bf16 on the CPU rounds the result once more.
  at::Tensor times(const at::Tensor& x) const;

  /// The same, but nothing is rounded to bf16 behind the sums: for logits, where rounding would make ties. libtorch's
  /// operators get the weights widened, a block of outputs at a time.
  at::Tensor times_unrounded(const at::Tensor& x) const;

  /// The rows of these outputs, [ids, inputs] in `type`: a table of embeddings.
  at::Tensor rows(const std::vector<std::int64_t>& ids, at::ScalarType type) const;
  /// Of a packed one, into f32 [ids, inputs].
  void rows(std::span<const token_id> ids, float* to) const;
};

/// How a shard wants its weights.
struct weight_types {
  at::ScalarType compute = at::kFloat;  ///< of vectors
  dtype matrices = dtype::f32;
  bool packed = false;  ///< for our kernels; else int8 and int4 are widened to f32 again
  at::Device device = at::kCPU;  ///< on which they shall lie; on another one nothing is packed
};

/// Our kernels, or libtorch's operators, on this CPU? @throws bad_model when the folder is quantised to another dtype
weight_types types_for(const hf::model_folder& folder, const shard_options& options);

/// Reads tensors once, in the order asked for. Besides the result, 32 rows a thread or one tensor at most are held. Tensors
/// of a quantised folder are the file's mapped bytes.
class weight_loader {
public:
  using source = std::function<const hf::tensor_view&(const std::string& name)>;  ///< throws bad_model when missing

  /// @param total_bytes of all tensors that will be asked for, as stored, for progress
  /// @param kept of a quantised folder: keeps its bytes where they are; of others nullptr
  weight_loader(source from, weight_types types, std::uint64_t total_bytes, load_progress progress,
                std::shared_ptr<const void> kept = nullptr);

  at::Tensor vector(const std::string& name);
  product matrix(const std::string& name) { return matrix(std::vector{name}); }
  /// NAME.weight of all names, one below the other, and with `bias` NAME.bias likewise.
  product stacked(const std::vector<std::string>& names, bool bias);

private:
  product matrix(const std::vector<std::string>& names);
  product mapped_product(const hf::tensor_view& t) const;
  at::Tensor numbers(const std::vector<hf::tensor_view>& parts) const;
  at::Tensor mapped(const hf::tensor_view& t) const;
  at::Tensor mapped(const hf::tensor_view& t, const std::vector<std::int64_t>& shape, at::ScalarType type,
                    std::size_t alignment) const;
  void told(const std::string& name);

  source from_;
  weight_types types_;
  std::uint64_t total_bytes_, done_bytes_ = 0;
  load_progress progress_;
  std::shared_ptr<const void> kept_;
};

} // namespace virga::models::torch_impl
