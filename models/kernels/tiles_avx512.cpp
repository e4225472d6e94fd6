// Flags: -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mavx512vnni -mf16c (CMakeLists.txt).
#include "models/kernels/kernel_set_impl.hpp"

#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)

#include <immintrin.h>

namespace {

struct isa {
  using vf = float __attribute__((vector_size(64)));
  using vi = std::int32_t __attribute__((vector_size(64)));
  using vh = std::int16_t __attribute__((vector_size(32)));
  using vb = std::int8_t __attribute__((vector_size(16)));
  static constexpr int lanes = 16, width = 2, number_rows = 12, block_rows = 5;

  static vf dot_bf16(vf sum, vi pairs, vi pair) {
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)pairs, (__m512bh)pair);
  }
  static vi dot_bytes(vi sum, vi codes, vi x) {
    return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)codes, (__m512i)x);
  }
  static vf larger(vf a, vf b) { return (vf)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b); }
  static vh rounded(vf x) { return (vh)_mm512_cvtneps_pbh((__m512)x); }
  static std::int32_t largest(vi v) { return _mm512_reduce_max_epi32((__m512i)v); }
  static std::int32_t total(vi v) { return _mm512_reduce_add_epi32((__m512i)v); }
  static vf signed_bytes(const std::int8_t* p) {
    return (vf)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static vf halves(const void* p) { return (vf)_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p))); }
};

bool here() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
         && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bf16")
         && __builtin_cpu_supports("avx512vnni");
}

} // namespace

namespace virga::models::kernels {
constinit const kernel_set avx512_kernels = kernels_of<isa>("avx512", here);
} // namespace virga::models::kernels

#else

namespace virga::models::kernels {
const kernel_set avx512_kernels{"avx512", [] { return false; }};
} // namespace virga::models::kernels

#endif
