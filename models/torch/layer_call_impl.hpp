// models/torch/layer_call_impl.hpp: what the halves of the operator virga::decoder_layer (attention, MLP) share. Private
// to models/torch.
#pragma once

#include "models/kernels/kernels.hpp"
#include "models/torch/decoder_layer_impl.hpp"
#include "models/torch/linear_impl.hpp"

#include <ATen/Parallel.h>

#include <cstdint>
#include <optional>

namespace virga::models::torch_impl {

/// Memory of a call, handed out from the front; nothing beyond its end, where it counts only.
class room {
public:
  room(std::byte* base, std::uint64_t size) : base_(base), size_(size) {}

  template <class T>
  T* take(std::uint64_t count) {
    constexpr std::uint64_t line = 64;
    auto at = used_;
    used_ += (count * sizeof(T) + line - 1) / line * line;
    return used_ <= size_ ? reinterpret_cast<T*>(base_ + at) : nullptr;
  }
  std::uint64_t used() const { return used_; }

private:
  std::byte* base_;
  std::uint64_t size_, used_ = 0;
};

/// One matrix and the rows that it multiplies.
struct factor {
  factor(dtype type, std::int64_t outputs, std::int64_t inputs, const at::Tensor& weight, const at::Tensor& bias,
         std::uint32_t rows, room& memory);

  void reads(float* x);
  /// The prepared rows from this one on.
  kernels::prepared_rows from(std::uint32_t row) const;

  kernels::packed_shape shape;
  const std::byte* packed;
  const float* add;      ///< bias, or null
  std::uint32_t rows;
  std::uint32_t stride;  ///< of its outputs
  std::byte* memory = nullptr;
  kernels::prepared_rows prepared;
};

/// The operator's arguments.
struct layer_call {
  layer_call(at::Tensor& x, at::TensorList weights, at::IntArrayRef numbers, double epsilon, const at::Tensor& rows,
             const at::Tensor& turns, const std::optional<at::Tensor>& kept, at::TensorList pages);

  float* row(std::uint32_t r) const { return x + r * hidden; }
  const float* vector(layer_part p) const { return w[p].defined() ? w[p].const_data_ptr<float>() : nullptr; }
  static std::int64_t grain(const factor& f) { return panels_at_once(f.shape, f.rows); }
  /// Of the rows that go on, the place among all.
  std::uint32_t kept_row(std::uint32_t i) const { return kept ? static_cast<std::uint32_t>(kept[i]) : i; }

  /// [first, last) in pieces for libtorch's threads.
  template <class F>
  static void pieces(std::int64_t count, std::int64_t grain, const F& f) {
    at::parallel_for(0, count, grain, [&](std::int64_t first, std::int64_t last) {
      f(static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last));
    });
  }

  template <class F>
  static void each_row(std::uint32_t rows, const F& f) {
    pieces(rows, 4, [&](std::uint32_t first, std::uint32_t last) {
      for (auto r = first; r < last; ++r)
        f(r);
    });
  }

  /// Norms x into `normed` [rows, hidden] and makes the product's rows of it.
  void norm(layer_part weight, float* normed, factor& f) const;
  /// Makes the product's rows of y [rows, inputs].
  void prepare(factor& f, float* y) const;
  /// Adds the product of the rows of f to the residual rows. @param sums [rows, f.stride]
  void add_product(const factor& f, float* sums) const;

  const kernels::kernel_set& k;
  at::TensorList w;
  dtype type;
  std::int64_t heads, kv_heads, dim, mlp, hidden;
  std::uint32_t count;  ///< rows
  std::uint32_t left;   ///< rows that go on behind attention, [0, left) of x
  const std::int64_t* kept;  ///< [left]: which ones they were; null: all
  float eps;
  float* x;
  const std::int64_t* places;  ///< [rows, 3]
  const float *cos, *sin;
  kernels::page_layout layout;  ///< of pages
  at::TensorList pages;
};

class attention_half {
public:
  attention_half(const layer_call& c, room& memory);
  void run();

private:
  void keep(std::uint32_t r);
  void attend();
  void move_kept_rows();
  void attend_row(std::uint32_t i, std::int64_t head, float* room);

  const layer_call& c_;
  factor in_, out_;
  float *normed_, *rows_, *mixed_, *sums_, *scores_;
  void** pages_;
  std::int64_t workers_ = 1;
  std::uint64_t room_ = 0;  ///< numbers that attention of one worker needs
};

class mlp_half {
public:
  mlp_half(const layer_call& c, room& memory);
  void run();

private:
  void by_panels();
  void whole();
  void part_of(std::uint32_t panel, std::uint32_t panels, std::uint32_t r, std::uint32_t rows, float* out) const;
  void mix(const float* gate, const float* up, std::uint32_t row, std::uint32_t first, std::uint32_t last) const;

  const layer_call& c_;
  factor both_, out_;
  float *normed_, *mixed_, *all_, *sums_;
};

} // namespace virga::models::torch_impl
