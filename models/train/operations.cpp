#include "models/train/operations_impl.hpp"

#include "models/train/fused.hpp"

#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/custom_function.h>

namespace virga::models::train {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

struct rms_norm_function : torch::autograd::Function<rms_norm_function> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, double eps,
                            at::ScalarType out) {
    auto y = at::empty_like(x);
    auto inverse = at::empty({x.size(0)}, x.options());
    fused::rms_norm(x.const_data_ptr<float>(), weight.const_data_ptr<float>(), eps, x.size(0), x.size(1),
                    y.data_ptr<float>(), inverse.data_ptr<float>());
    ctx->save_for_backward({x, weight, inverse});
    return y.to(out);
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto& x = saved[0];
    const auto dy = grads[0].to(at::kFloat).contiguous();
    auto dx = at::empty_like(x);
    auto dw = at::zeros_like(saved[1]);
    fused::rms_norm_backward(x.const_data_ptr<float>(), saved[1].const_data_ptr<float>(),
                             saved[2].const_data_ptr<float>(), dy.const_data_ptr<float>(), x.size(0), x.size(1),
                             dx.data_ptr<float>(), dw.data_ptr<float>());
    return {dx, dw, at::Tensor(), at::Tensor()};
  }
};

/// Turns q and k of qkv [places, heads + 2 kv_heads, dim] f32 in place by their position; `direction` -1 turns back.
void turn(const layout& in, const at::Tensor& qkv, float direction) {
  fused::rotate(qkv.data_ptr<float>(), in.cos.const_data_ptr<float>(), in.sin.const_data_ptr<float>(), direction,
                in.shape);
}

struct attend_function : torch::autograd::Function<attend_function> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const std::shared_ptr<layout>& in) {
    const auto turned = qkv.to(at::kFloat, false, true).contiguous();
    turn(*in, turned, 1);
    auto out = at::empty({in->shape.places, in->shape.heads * in->shape.dim}, at::kFloat);
    auto memory = at::empty({fused::attention_memory(in->shape, in->examples)}, at::kFloat);
    fused::attention(in->shape, in->examples, turned.const_data_ptr<float>(), out.data_ptr<float>(),
                     memory.data_ptr<float>());
    ctx->save_for_backward({turned, memory});
    ctx->saved_data["layout"] = c10::IValue::make_capsule(c10::make_intrusive<holder>(in));
    ctx->saved_data["type"] = static_cast<std::int64_t>(qkv.scalar_type());
    return out.to(qkv.scalar_type());
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto held = ctx->saved_data["layout"].toCapsule();
    const auto& in = static_cast<holder&>(*held).in;
    const auto dout = grads[0].to(at::kFloat).contiguous();
    auto dqkv = at::empty_like(saved[0]);
    fused::attention_backward(in->shape, in->examples, saved[0].const_data_ptr<float>(),
                              saved[1].const_data_ptr<float>(), dout.const_data_ptr<float>(), dqkv.data_ptr<float>());
    turn(*in, dqkv, -1);
    return {dqkv.to(static_cast<at::ScalarType>(ctx->saved_data["type"].toInt())), at::Tensor()};
  }
  struct holder : torch::CustomClassHolder {
    explicit holder(std::shared_ptr<layout> l) : in(std::move(l)) {}
    std::shared_ptr<layout> in;
  };
};

/// Writes both halves of the gradient into one tensor: slicing would zero-fill and add.
struct swiglu_function : torch::autograd::Function<swiglu_function> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& both) {
    ctx->save_for_backward({both});
    const auto m = both.size(1) / 2;
    return at::silu(both.narrow(1, 0, m)).mul_(both.narrow(1, m, m));
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto both = ctx->get_saved_variables()[0];
    const auto m = both.size(1) / 2;
    const auto gate = both.narrow(1, 0, m), up = both.narrow(1, m, m);
    auto d = at::empty_like(both);
    d.narrow(1, 0, m).copy_(at::silu_backward(grads[0] * up, gate));
    auto dup = d.narrow(1, m, m);
    at::mul_out(dup, at::silu(gate), grads[0]);
    return {d};
  }
};

} // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, at::ScalarType out) {
  return rms_norm_function::apply(x, weight, eps, out);
}

at::Tensor attend(const at::Tensor& qkv, const std::shared_ptr<layout>& in) { return attend_function::apply(qkv, in); }

at::Tensor swiglu(const at::Tensor& both) { return swiglu_function::apply(both); }

} // namespace virga::models::train
