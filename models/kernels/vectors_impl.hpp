// models/kernels/vectors_impl.hpp: what kernels are written in: the vectors of an instruction set. Each tiles_*.cpp
// includes it with flags and an `isa` of its own; everything here is in its unnamed namespace and calls no inline
// function of the standard library, so that no other file can be given code for a CPU it was not built for.
//
// An isa has: lanes (f32 of a vector), the vectors vf, vi, vh and vb (f32, i32, i16, i8) of that many, number_rows and
// block_rows (rows of a tile whose sums fit the registers), width (vectors of outputs of a tile), and
//   vf dot_bf16(vf sum, vi pairs, vi pair)  sum += low halves' product + high halves' product, as bf16
//   vi dot_bytes(vi sum, vi codes, vi x)    sum += the four products of unsigned codes and signed bytes
//   vf larger(vf a, vf b)                   a > b ? a : b
//   vh rounded(vf)                          to bf16
//   std::int32_t largest(vi), total(vi)     of all lanes
//   vf halves(const void*)                  the next `lanes` f16
//   vf signed_bytes(const std::int8_t*)     the next `lanes` bytes
#pragma once

#include "models/kernels/kernels.hpp"

namespace {

using namespace virga;
using namespace virga::models::kernels;

using word32 = std::int32_t;

/// For an isa without an instruction for it.
template <class V>
word32 largest_lane(V v, int lanes) {
  auto most = v[0];
  for (int i = 1; i < lanes; ++i)
    most = v[i] > most ? v[i] : most;
  return most;
}

template <class V>
word32 total_of_lanes(V v, int lanes) {
  word32 sum = 0;
  for (int i = 0; i < lanes; ++i)
    sum += v[i];
  return sum;
}

/// Rounded to bf16, to the nearest, ties to even. Without an instruction for it.
template <class Words, class Halves, class Numbers>
Halves upper_halves(Numbers x) {
  constexpr word32 upper = ~0xffff;
  const Words bits = x != x ? ((Words)x & upper) | 0x400000 : (Words)x;
  return __builtin_convertvector((bits + 0x7fff + (bits >> 16 & 1)) >> 16, Halves);
}

template <class V>
V load(const void* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

template <class V>
void store(void* p, V v) {
  __builtin_memcpy(p, &v, sizeof v);
}

inline word32 word(const void* p) { return load<word32>(p); }

} // namespace
