// Flags: -mavx2 -mfma -mf16c (CMakeLists.txt).
#include "models/kernels/kernel_set_impl.hpp"

#if defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>

namespace {

struct isa {
  using vf = float __attribute__((vector_size(32)));
  using vi = std::int32_t __attribute__((vector_size(32)));
  using vh = std::int16_t __attribute__((vector_size(16)));
  using vb = std::int8_t __attribute__((vector_size(8)));
  static constexpr int lanes = 8, width = 2, number_rows = 4, block_rows = 2;

  static vf dot_bf16(vf sum, vi pairs, vi pair) {
    const vi high = vi{} + static_cast<std::int32_t>(0xffff0000u);
    sum += (vf)(pairs << 16) * (vf)(pair << 16);
    return sum + (vf)(pairs & high) * (vf)(pair & high);
  }

  /// In 16 bits: the instruction that multiplies bytes saturates.
  static vi dot_bytes(vi sum, vi codes, vi x) {
    const __m256i c = (__m256i)codes, bytes = (__m256i)x;
    auto even = _mm256_madd_epi16(_mm256_and_si256(c, _mm256_set1_epi16(255)),
                                  _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8));
    auto odd = _mm256_madd_epi16(_mm256_srli_epi16(c, 8), _mm256_srai_epi16(bytes, 8));
    return sum + (vi)even + (vi)odd;
  }

  static vf larger(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
  static vh rounded(vf x) { return upper_halves<vi, vh>(x); }
  static std::int32_t largest(vi v) { return largest_lane(v, lanes); }
  static std::int32_t total(vi v) { return total_of_lanes(v, lanes); }
  static vf signed_bytes(const std::int8_t* p) {
    return (vf)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static vf halves(const void* p) { return (vf)_mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p))); }
};

bool here() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

} // namespace

namespace virga::models::kernels {
constinit const kernel_set avx2_kernels = kernels_of<isa>("avx2", here);
} // namespace virga::models::kernels

#else

namespace virga::models::kernels {
const kernel_set avx2_kernels{"avx2", [] { return false; }};
} // namespace virga::models::kernels

#endif
