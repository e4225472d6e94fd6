// models/torch/weights_impl.hpp: weights of a folder as libtorch tensors. Private to models/torch.
#pragma once

#include "models/make_shard.hpp"

#include <ATen/ATen.h>

#include <functional>
#include <string>
#include <vector>

namespace virga::models::torch_impl {

/// A weight matrix [outputs, inputs], f64, f32 or bf16, and its bias [outputs] in the compute dtype, or none.
struct product {
  at::Tensor weight, bias;
  bool packed = false;  ///< the weight is oneDNN's: opaque, and times() alone can use it

  /// Gives a large f32 matrix to oneDNN, which lays it out once as its kernels want it: libtorch's own product does so in every
  /// call, which costs more than the arithmetic when there are few rows. Does nothing where that is no gain or not there.
  void pack();

  /// x [rows, inputs] in the compute dtype -> [rows, outputs] in the compute dtype. With bf16 weights the operands are
  /// bf16, the sums f32, and the result is rounded to bf16 once.
  at::Tensor times(const at::Tensor& x) const;

  /// The same, but the weights are widened, a block of outputs at a time, and nothing is rounded to bf16: for logits, where
  /// rounding would make ties.
  at::Tensor times_widened(const at::Tensor& x) const;
};

/// Reads tensors once, in the order asked for. Besides the result one tensor at most is held.
class weight_loader {
public:
  using source = std::function<const hf::tensor_view&(const std::string& name)>;  ///< throws bad_model when missing

  /// @param total_bytes of all tensors that will be asked for, as stored, for progress
  weight_loader(source from, at::ScalarType compute, at::ScalarType weights, std::uint64_t total_bytes, load_progress progress);

  at::Tensor vector(const std::string& name);  ///< in the compute dtype
  at::Tensor matrix(const std::string& name);  ///< in the dtype of the weights
  /// NAME.weight of all names, one below the other, and with `bias` NAME.bias likewise; packed.
  product stacked(const std::vector<std::string>& names, bool bias);

private:
  at::Tensor read(const std::string& name, at::ScalarType type);

  source from_;
  at::ScalarType compute_, weights_;
  std::uint64_t total_bytes_, done_bytes_ = 0;
  load_progress progress_;
};

} // namespace virga::models::torch_impl
