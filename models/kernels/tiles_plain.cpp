// For every CPU: the compiler's own vectors, and bytes one by one.
#include "models/kernels/kernel_set_impl.hpp"

namespace {

struct isa {
  using vf = float __attribute__((vector_size(16)));
  using vi = std::int32_t __attribute__((vector_size(16)));
  using vh = std::int16_t __attribute__((vector_size(8)));
  using vb = std::int8_t __attribute__((vector_size(4)));
  static constexpr int lanes = 4, width = 2, number_rows = 4, block_rows = 2;

  static vf dot_bf16(vf sum, vi pairs, vi pair) {
    const vi high = vi{} + static_cast<std::int32_t>(0xffff0000u);
    sum += (vf)(pairs << 16) * (vf)(pair << 16);
    return sum + (vf)(pairs & high) * (vf)(pair & high);
  }

  static vi dot_bytes(vi sum, vi codes, vi x) {
    for (int byte = 0; byte < 32; byte += 8)
      sum += ((codes >> byte) & 255) * ((x << (24 - byte)) >> 24);
    return sum;
  }

  static vf larger(vf a, vf b) { return a > b ? a : b; }
  static vh rounded(vf x) { return upper_halves<vi, vh>(x); }
  static std::int32_t largest(vi v) { return largest_lane(v, lanes); }
  static std::int32_t total(vi v) { return total_of_lanes(v, lanes); }
  static vf signed_bytes(const std::int8_t* p) { return vf{1.f * p[0], 1.f * p[1], 1.f * p[2], 1.f * p[3]}; }

  /// As models/small_floats.hpp; infinity and NaN do not occur, a weight is finite.
  static vf halves(const void* p) {
    std::uint16_t h[lanes];
    __builtin_memcpy(h, p, sizeof h);
    vi bits{h[0], h[1], h[2], h[3]};
    const vf size = (vf)((bits & 0x7fff) << 13) * 0x1p112f;
    return (vf)((vi)size | (bits & 0x8000) << 16);
  }
};

} // namespace

namespace virga::models::kernels {
constinit const kernel_set plain_kernels = kernels_of<isa>("plain", [] { return true; });
} // namespace virga::models::kernels
