// models/kernels/kernels.hpp: products of rows with a packed matrix (packed.hpp), for the CPU that runs. No torch, no
// threads: who calls divides the panels.
//
// Every output is summed in the order of its inputs, by one caller, whatever rows stand beside it: a row's result does
// not depend on the number of rows, chunks, batches or threads. It does depend on the set of kernels (fused or plain
// multiply-add).
#pragma once

#include "models/kernels/packed.hpp"

#include <string_view>
#include <vector>

namespace virga::models::kernels {

/// Rows as a product of this type reads them: f32 as they are; bf16 rounded; for int8 and int4 signed bytes, one f32
/// scale for each block of 32 and, so that codes can be unsigned, the sum of each block times the codes' zero.
struct prepared_rows {
  const void* values = nullptr;         ///< [rows][stride]: float, bf16 bits or int8
  const float* scales = nullptr;        ///< [rows][blocks]
  const std::int32_t* zeros = nullptr;  ///< [rows][blocks]
  std::uint32_t stride = 0;             ///< values between rows
  std::uint32_t blocks = 0;
};

/// Bytes that prepare() needs for this many rows, 64-byte aligned.
std::uint64_t prepared_bytes(const packed_shape& shape, std::uint32_t rows);

/// Where prepare() puts what, in `room`. For f32 rows that need no padding `room` may be `x`, which prepare() then
/// leaves.
prepared_rows places(const packed_shape& shape, std::uint32_t rows, void* room);

/// Positions of a page of KV; that of models/defaults.hpp.
inline constexpr std::uint32_t page_positions = 64;

/// Where one head's keys and values begin in a page, in bytes.
struct head_place {
  std::uint64_t keys = 0, values = 0;
  std::uint64_t key_scales = 0, value_scales = 0;  ///< f32, one for each position; of i8_rows
};

/// A page: keys as [head][dim][64 positions], then values as [head][64 positions][dim], in f32 or signed bytes
/// (i8_rows); behind bytes their scales, [head][64 positions] of keys and of values. In bf16 two neighbours that a
/// product adds stand together: keys as [head][dim / 2][64 positions][2], values as [head][32][dim][2 positions].
struct page_layout {
  dtype type = dtype::f32;
  std::uint32_t heads = 0, dim = 0;

  head_place place(std::uint32_t head) const;
  std::uint64_t bytes() const;

  /// Which number of its head's keys, of its head's values.
  std::uint32_t key_at(std::uint32_t position, std::uint32_t d) const;
  std::uint32_t value_at(std::uint32_t position, std::uint32_t d) const;
};

/// Queries that attend() takes at once, at most.
inline constexpr std::uint32_t queries_at_once = 7;

/// Queries of one position that share a head of keys and values.
struct attention_task {
  const float* q = nullptr;  ///< [queries][dim]
  float* out = nullptr;      ///< [queries][dim]
  std::uint32_t queries = 0, dim = 0;
  float scale = 1;                                 ///< of scores
  const void* const* pages = nullptr;              ///< of the whole history
  dtype type = dtype::f32;                         ///< of what pages hold
  head_place at;
  std::uint64_t begin = 0, end = 0;                ///< positions seen
  float* room = nullptr;                           ///< attention_room(dim, pages seen) numbers
};

std::uint64_t attention_room(std::uint32_t dim, std::uint64_t pages);

/// What choosing a token needs of a row of logits.
struct row_summary {
  float most = 0;
  std::uint32_t at = 0;      ///< the first that is `most`
  double exponentials = 0;   ///< sum of e^(x - most), within 1e-6 of itself; NaN when one is, or `most` is infinite
};

/// What one kind of CPU does best.
struct kernel_set {
  std::string_view name;  ///< "avx512" (with bf16 and vnni), "avx2" (with fma; f16c came before both), "plain"
  bool (*runs_here)() = nullptr;

  /// The inputs [first, last) of one row into `to` (from places()). NaN and infinity stay visible in the result of every
  /// product of their block. @param x the input `first` @param first multiple of 32 @param last so too, or shape.inputs
  void (*prepare)(const packed_shape& shape, const float* x, std::uint32_t row, std::uint32_t first, std::uint32_t last,
                  const prepared_rows& to) = nullptr;

  /// out[row][output] for the outputs of the panels [first_panel, last_panel). @param out [rows][out_stride], with room
  /// for whole panels: padding is written as zero
  void (*multiply)(const packed_shape& shape, const std::byte* packed, const prepared_rows& x, std::uint32_t rows,
                   std::uint32_t first_panel, std::uint32_t last_panel, float* out, std::uint32_t out_stride) = nullptr;

  /// x / sqrt(mean(x^2) + eps) * weight; may be in place
  void (*rms_norm)(const float* x, const float* weight, float eps, std::uint32_t n, float* out) = nullptr;

  /// One head of 2 * half numbers, turned in place: (a cos - b sin, b cos + a sin) of its halves.
  void (*rotate)(float* head, const float* cos, const float* sin, std::uint32_t half) = nullptr;

  /// silu(gate) * up
  void (*swiglu)(const float* gate, const float* up, std::uint32_t n, float* out) = nullptr;

  /// One head's key and value, into their place in a page, at `position` of the page. As bytes, the largest number of
  /// each is 127 steps; NaN and infinity make its scale NaN.
  void (*keep)(const float* k, const float* v, std::uint32_t dim, dtype type, std::uint32_t position, void* page,
               const head_place& at) = nullptr;

  /// Softmax over the positions seen. Beside bf16 pages queries and probabilities are rounded to bf16 too. NaN in what
  /// is seen stays visible; what is not seen is not read, or not used.
  void (*attend)(const attention_task& task) = nullptr;

  /// Of n > 0 numbers.
  row_summary (*summarise)(const float* x, std::uint32_t n) = nullptr;
};

/// The sets that this CPU can run, best first; the last is "plain".
std::vector<const kernel_set*> kernels_here();

/// The best of them, or what use_kernels() said.
const kernel_set& best_kernels();

/// For benchmarks and tests, while nothing runs. @param set null: the best again; must live as long as it is used
void use_kernels(const kernel_set* set);

extern const kernel_set avx512_kernels, avx2_kernels, plain_kernels;

} // namespace virga::models::kernels
