// Packing as it was first written, one number at a time: what is packed now must be the same bytes.
#include "models/kernels/packed.hpp"
#include "models/small_floats.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

using namespace virga;
using namespace virga::models;
using namespace virga::models::kernels;

namespace {

using bytes = std::vector<std::byte>;

std::size_t place(std::uint32_t row, std::uint32_t k) { return 64 + (k / 4 * 32 + row) * 4 + k % 4; }

void put_scale(float scale, std::uint32_t row, std::byte* block) {
  auto bits = to_f16(scale);
  std::memcpy(block + row * 2, &bits, 2);
}

/// Q8_0, rounding half away from zero.
void plain8(const float* w, std::uint32_t row, std::byte* block) {
  float most = 0;
  for (int i = 0; i < 32; ++i)
    most = std::max(most, std::abs(w[i]));
  float scale = most / 127, inverse = scale > 0 ? 1 / scale : 0;
  put_scale(scale, row, block);
  for (std::uint32_t k = 0; k < 32; ++k)
    block[place(row, k)] = static_cast<std::byte>(static_cast<int>(std::round(w[k] * inverse)) + 128);
}

/// Q4_0.
void plain4(const float* w, std::uint32_t row, std::byte* block) {
  float most = 0;
  for (int i = 0; i < 32; ++i)
    if (std::abs(w[i]) > std::abs(most))
      most = w[i];
  float scale = most / -8, inverse = most != 0 ? 1 / scale : 0;
  put_scale(scale, row, block);
  auto code = [&](std::uint32_t k) { return std::min(15, static_cast<int>(w[k] * inverse + 8.5f)); };
  for (std::uint32_t k = 0; k < 16; ++k)
    block[place(row, k)] = static_cast<std::byte>(code(k) | code(k + 16) << 4);
}

bytes plain_panel(const packed_shape& s, std::span<const float> rows) {
  bytes out(s.panel_bytes());
  auto at = [&](std::uint32_t row, std::uint32_t k) {
    return k < s.inputs && row < rows.size() / s.inputs ? rows[std::size_t{row} * s.inputs + k] : 0.f;
  };
  const std::uint64_t block_bytes = s.type == dtype::int8 ? 1088 : 576;
  for (std::uint32_t row = 0; row < 32; ++row)
    for (std::uint32_t k = 0; k < s.padded_inputs(); ++k)
      if (s.type == dtype::f32) {
        auto v = at(row, k);
        std::memcpy(out.data() + (k * 32 + row) * 4, &v, 4);
      } else if (s.type == dtype::bf16) {
        auto v = to_bf16(at(row, k));
        std::memcpy(out.data() + ((k / 2 * 32 + row) * 2 + k % 2) * 2, &v, 2);
      } else if (k % 32 == 0) {
        float w[32];
        for (std::uint32_t i = 0; i < 32; ++i)
          w[i] = at(row, k + i);
        (s.type == dtype::int8 ? plain8 : plain4)(w, row, out.data() + k / 32 * block_bytes);
      }
  return out;
}

/// Numbers that packing could get wrong: ties of rounding and of magnitude, zeros of both signs, small and large ones.
std::vector<float> strange_numbers(std::size_t count, std::mt19937& random) {
  std::normal_distribution<float> normal(0, 1);
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i)
    switch (random() % 8) {
      case 0: out[i] = 0.5f * static_cast<float>(static_cast<int>(random() % 511) - 255); break;
      case 1: out[i] = random() % 2 == 0 ? 0.f : -0.f; break;
      case 2: out[i] = random() % 2 == 0 ? 127.f : -127.f; break;
      case 3: out[i] = std::nextafter(0.5f, random() % 2 == 0 ? 0.f : 1.f); break;
      case 4: out[i] = normal(random) * 1e-8f; break;
      case 5: out[i] = normal(random) * 1e4f; break;
      default: out[i] = normal(random);
    }
  for (std::size_t i = 0; i + 32 <= count && random() % 3 == 0; i += 96)
    std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(i), 32, 0.f);
  return out;
}

} // namespace

TEST_CASE("a panel's bytes are those of packing one number at a time", "[models][packed]") {
  auto type = GENERATE(dtype::f32, dtype::bf16, dtype::int8, dtype::int4);
  std::mt19937 random(3);
  for (auto inputs : {1u, 2u, 31u, 32u, 33u, 64u, 97u, 896u})
    for (auto outputs : {1u, 31u, 32u})
      for (int i = 0; i < 20; ++i) {
        CAPTURE(to_string(type), inputs, outputs, i);
        packed_shape s{type, outputs, inputs};
        auto rows = strange_numbers(std::size_t{outputs} * inputs, random);
        bytes packed(s.panel_bytes(), std::byte{0xa5});
        pack_panel(s, rows, packed.data());
        REQUIRE(packed == plain_panel(s, rows));
      }
}

TEST_CASE("a block of numbers that are too small for a scale is a block of zeros", "[models][packed]") {
  auto type = GENERATE(dtype::int8, dtype::int4);
  auto size = GENERATE(1e-44f, 1e-39f, 1e-37f);
  packed_shape s{type, 1, 32};
  std::vector<float> w(32, size), back(32, 1.f);
  w[3] = -w[3];
  bytes packed(s.bytes());
  pack_panel(s, w, packed.data());
  unpack_row(s, packed.data(), 0, back.data());
  CHECK(std::ranges::all_of(back, [](float v) { return v == 0; }));
}

TEST_CASE("panels are whole cache lines", "[models][packed]") {
  for (auto type : {dtype::f32, dtype::bf16, dtype::int8, dtype::int4})
    for (auto inputs : {1u, 7u, 33u, 896u})
      CHECK(packed_shape{type, 5, inputs}.panel_bytes() % 64 == 0);
}
