#include "messages/crc32c.hpp"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace virga {

namespace {

static_assert(std::endian::native == std::endian::little, "the wire is little-endian, and so are virga's machines");

using tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr std::uint32_t polynomial = 0x82f63b78; // 0x1edc6f41 reflected

// tables[k][b]: the checksum of byte b followed by k zero bytes (Kounavis and Berry, slicing-by-8).
constexpr tables make_tables() {
  tables t{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1) ? polynomial : 0);
    t[0][b] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t b = 0; b < 256; ++b)
      t[k][b] = (t[k - 1][b] >> 8) ^ t[0][t[k - 1][b] & 255];
  return t;
}

constexpr tables table = make_tables();

std::uint64_t load_word(const std::byte* p) noexcept {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// a times b modulo the polynomial; the highest bit is the constant one.
constexpr std::uint32_t product(std::uint32_t a, std::uint32_t b) noexcept {
  std::uint32_t sum = 0;
  for (; a != 0; a <<= 1) {
    sum ^= (a >> 31) ? b : 0;
    b = (b >> 1) ^ ((b & 1) ? polynomial : 0);
  }
  return sum;
}

// powers[k]: x to the bits of 2^k bytes.
constexpr std::array<std::uint32_t, 64> make_powers() {
  std::array<std::uint32_t, 64> x{1u << (31 - 8)};
  for (std::size_t k = 1; k < x.size(); ++k)
    x[k] = product(x[k - 1], x[k - 1]);
  return x;
}

constexpr std::array<std::uint32_t, 64> powers = make_powers();

#if defined(__x86_64__)
// The instruction takes three cycles, but a new one may begin each cycle: three runs of `run_bytes` at once, which are
// then put together. The checksum is linear, so that the zeros behind a run are a table's work.
constexpr std::size_t run_bytes = 1024;
using zero_tables = std::array<std::array<std::uint32_t, 256>, 4>;

// t[k][b]: the checksum state b << 8k after run_bytes zero bytes.
constexpr zero_tables make_zero_tables() {
  std::array<std::uint32_t, 32> after{};
  for (std::size_t bit = 0; bit < 32; ++bit) {
    std::uint32_t crc = std::uint32_t{1} << bit;
    for (std::size_t i = 0; i < run_bytes; ++i)
      crc = (crc >> 8) ^ table[0][crc & 255];
    after[bit] = crc;
  }
  zero_tables t{};
  for (std::size_t k = 0; k < 4; ++k)
    for (std::size_t b = 0; b < 256; ++b)
      for (std::size_t bit = 0; bit < 8; ++bit)
        t[k][b] ^= (b >> bit & 1) ? after[8 * k + bit] : 0;
  return t;
}

constexpr zero_tables zeros = make_zero_tables();

std::uint32_t after_zeros(std::uint64_t crc) noexcept {
  return zeros[0][crc & 255] ^ zeros[1][crc >> 8 & 255] ^ zeros[2][crc >> 16 & 255] ^ zeros[3][crc >> 24 & 255];
}

__attribute__((target("sse4.2"))) std::uint64_t three_runs(const std::byte* p, std::uint64_t crc) noexcept {
  std::uint64_t second = 0, third = 0;
  for (auto end = p + run_bytes; p != end; p += 8) {
    crc = _mm_crc32_u64(crc, load_word(p));
    second = _mm_crc32_u64(second, load_word(p + run_bytes));
    third = _mm_crc32_u64(third, load_word(p + 2 * run_bytes));
  }
  return after_zeros(after_zeros(crc) ^ second) ^ third;
}

__attribute__((target("sse4.2"))) std::uint32_t
crc32c_sse42(std::span<const std::byte> bytes, std::uint32_t before) noexcept {
  std::uint64_t crc = ~before;
  auto p = bytes.data();
  auto n = bytes.size();
  for (; n >= 3 * run_bytes; p += 3 * run_bytes, n -= 3 * run_bytes)
    crc = three_runs(p, crc);
  for (; n >= 8; p += 8, n -= 8)
    crc = _mm_crc32_u64(crc, load_word(p));
  for (; n > 0; ++p, --n)
    crc = _mm_crc32_u8(static_cast<std::uint32_t>(crc), std::to_integer<unsigned char>(*p));
  return ~static_cast<std::uint32_t>(crc);
}
#endif

} // namespace

std::uint32_t crc32c_portable(std::span<const std::byte> bytes, std::uint32_t before) noexcept {
  std::uint32_t crc = ~before;
  auto p = bytes.data();
  auto n = bytes.size();
  for (; n >= 8; p += 8, n -= 8) {
    auto word = load_word(p) ^ crc;
    crc = 0;
    for (std::size_t k = 0; k < 8; ++k)
      crc ^= table[7 - k][(word >> (8 * k)) & 255];
  }
  for (; n > 0; ++p, --n)
    crc = (crc >> 8) ^ table[0][(crc ^ std::to_integer<std::uint32_t>(*p)) & 255];
  return ~crc;
}

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) noexcept {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction)
    return crc32c_sse42(bytes, before);
#endif
  return crc32c_portable(bytes, before);
}

std::uint32_t crc32c_joined(std::uint32_t first, std::uint32_t second, std::size_t second_bytes) noexcept {
  for (std::size_t k = 0; second_bytes != 0; ++k, second_bytes >>= 1)
    first = (second_bytes & 1) ? product(powers[k], first) : first;
  return first ^ second;
}

} // namespace virga
