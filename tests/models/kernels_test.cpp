// Products with packed weights: every set of kernels that runs here beside plain sums in f64 over the same packed
// numbers.
#include "models/kernels/kernels.hpp"
#include "models/small_floats.hpp"
#include "tests/support/catch.hpp"

#include <cmath>
#include <cstring>
#include <random>

using namespace virga;
using namespace virga::models;
using namespace virga::models::kernels;

namespace {

/// 64-byte aligned, as tensors are.
class room {
public:
  explicit room(std::uint64_t bytes) : lines_(bytes / 64 + 1) {}
  std::byte* data() { return lines_.front().bytes; }

private:
  struct alignas(64) line {
    std::byte bytes[64];
  };
  std::vector<line> lines_;
};

std::vector<float> normal(std::size_t count, std::mt19937& random, float size = 1) {
  std::normal_distribution<float> d(0, size);
  std::vector<float> out(count);
  for (auto& x : out)
    x = d(random);
  return out;
}

struct matrix {
  matrix(packed_shape s, const std::vector<float>& w) : shape(s), bytes(s.bytes()) {
    for (std::uint32_t p = 0; p < s.panels(); ++p) {
      auto first = p * panel_outputs, count = std::min(panel_outputs, s.outputs - first);
      pack_panel(s, std::span(w).subspan(std::size_t{first} * s.inputs, std::size_t{count} * s.inputs),
                 bytes.data() + p * s.panel_bytes());
    }
  }
  std::vector<float> row(std::uint32_t output) {
    std::vector<float> out(shape.inputs);
    unpack_row(shape, bytes.data(), output, out.data());
    return out;
  }
  packed_shape shape;
  room bytes;
};

struct product {
  std::vector<float> out;
  std::uint32_t stride;
  float at(std::uint32_t row, std::uint32_t output) const { return out[std::size_t{row} * stride + output]; }
};

product multiply(const kernel_set& k, matrix& m, const std::vector<float>& x, std::uint32_t rows) {
  auto& s = m.shape;
  room space(prepared_bytes(s, rows));
  auto to = places(s, rows, s.type == dtype::f32 ? static_cast<void*>(const_cast<float*>(x.data())) : space.data());
  for (std::uint32_t r = 0; r < rows; ++r)
    k.prepare(s, x.data() + std::size_t{r} * s.inputs, r, 0, s.inputs, to);
  product p{std::vector<float>(std::size_t{rows} * s.padded_outputs(), 1e30f), s.padded_outputs()};
  k.multiply(s, m.bytes.data(), to, rows, 0, s.panels(), p.out.data(), p.stride);
  return p;
}

/// x as the product reads it, up to the products' own rounding.
double read_as(dtype t, const std::vector<float>& x, std::size_t i, std::uint32_t inputs) {
  if (t == dtype::bf16)
    return from_bf16(to_bf16(x[i]));
  if (t == dtype::f32)
    return x[i];
  auto row = i / inputs * inputs, first = row + (i - row) / block_inputs * block_inputs;
  double most = 0;
  for (auto j = first; j < std::min(first + block_inputs, row + inputs); ++j)
    most = std::max(most, std::abs(static_cast<double>(x[j])));
  return most > 0 ? std::nearbyint(x[i] * 127 / most) * most / 127 : 0;
}

const std::vector<dtype> types{dtype::f32, dtype::bf16, dtype::int8, dtype::int4};

} // namespace

TEST_CASE("products of every kind of kernel are those of plain sums", "[models][kernels]") {
  auto* k = GENERATE(from_range(kernels_here()));
  std::mt19937 random(5);
  for (auto type : types)
    for (auto [outputs, inputs] : {std::pair{32u, 32u}, {96u, 160u}, {70u, 64u}, {33u, 100u}, {1u, 1u}, {161u, 37u}})
      for (auto rows : {1u, 2u, 5u, 6u, 7u, 12u, 13u, 31u}) {
        CAPTURE(k->name, to_string(type), outputs, inputs, rows);
        auto w = normal(std::size_t{outputs} * inputs, random, 0.1f), x = normal(std::size_t{rows} * inputs, random);
        matrix m({type, outputs, inputs}, w);
        auto p = multiply(*k, m, x, rows);
        double worst = 0;
        for (std::uint32_t o = 0; o < outputs; ++o) {
          auto weights = m.row(o);
          for (std::uint32_t r = 0; r < rows; ++r) {
            double sum = 0, size = 1e-6;
            for (std::uint32_t i = 0; i < inputs; ++i) {
              auto one = read_as(type, x, std::size_t{r} * inputs + i, inputs) * weights[i];
              sum += one;
              size += std::abs(one);
            }
            worst = std::max(worst, std::abs(sum - p.at(r, o)) / size);
          }
        }
        CHECK(worst < (type == dtype::int8 || type == dtype::int4
                           ? 2e-3
                           : 1e-5));  // a code may fall to the other side of a tie
        for (std::uint32_t r = 0; r < rows; ++r)
          for (auto o = outputs; o < p.stride; ++o)
            REQUIRE(p.at(r, o) == 0);
      }
}

TEST_CASE("a row's result does not depend on the rows and panels beside it", "[models][kernels]") {
  auto* k = GENERATE(from_range(kernels_here()));
  std::mt19937 random(6);
  for (auto type : types) {
    CAPTURE(k->name, to_string(type));
    constexpr std::uint32_t outputs = 200, inputs = 224, rows = 29;
    auto x = normal(rows * inputs, random);
    matrix m({type, outputs, inputs}, normal(outputs * inputs, random));
    auto all = multiply(*k, m, x, rows);
    for (std::uint32_t r = 0; r < rows; ++r) {
      auto one = multiply(*k, m, {x.begin() + r * inputs, x.begin() + (r + 1) * inputs}, 1);
      REQUIRE(std::equal(one.out.begin(), one.out.end(), all.out.begin() + r * all.stride));
    }
    room space(prepared_bytes(m.shape, 1));
    auto to = places(m.shape, 1, type == dtype::f32 ? static_cast<void*>(x.data()) : space.data());
    k->prepare(m.shape, x.data(), 0, 0, inputs, to);
    std::vector<float> by_panel(all.stride);
    for (std::uint32_t p = 0; p < m.shape.panels(); ++p)
      k->multiply(m.shape, m.bytes.data(), to, 1, p, p + 1, by_panel.data(), all.stride);
    REQUIRE(std::equal(by_panel.begin(), by_panel.end(), all.out.begin()));
  }
}

TEST_CASE("what is not finite is seen in every output of its row, and in no other row", "[models][kernels]") {
  auto* k = GENERATE(from_range(kernels_here()));
  auto strange = GENERATE(NAN, INFINITY, -INFINITY);
  std::mt19937 random(7);
  for (auto type : types) {
    CAPTURE(k->name, to_string(type), strange);
    auto x = normal(3 * 64, random);
    x[64 + 40] = strange;
    matrix m({type, 64, 64}, normal(64 * 64, random));
    auto p = multiply(*k, m, x, 3);
    for (std::uint32_t o = 0; o < 64; ++o) {
      CHECK(std::isfinite(p.at(0, o)));
      CHECK(std::isfinite(p.at(2, o)));
      CHECK_FALSE(std::isfinite(p.at(1, o)));
    }
  }
}

TEST_CASE("packed numbers are those of Q8_0 and Q4_0", "[models][kernels]") {
  std::vector<float> w(32);
  for (int i = 0; i < 32; ++i)
    w[static_cast<std::size_t>(i)] = static_cast<float>(i - 20) * 0.25f;  // -5 .. 2.75
  auto close = [&](dtype t, float step) {
    matrix m({t, 1, 32}, w);
    auto back = m.row(0);
    for (std::size_t i = 0; i < 32; ++i)
      CHECK(std::abs(back[i] - w[i]) <= step * 0.502f);
    return back;
  };
  CHECK(close(dtype::int8, 5.f / 127)[0] == from_f16(to_f16(5.f / 127)) * -127);
  CHECK(close(dtype::int4, 5.f / 8)[0] == from_f16(to_f16(5.f / 8)) * -8);
  CHECK(matrix({dtype::int8, 32, 32}, w).shape.bytes() == 32 * 34);
  CHECK(matrix({dtype::int4, 32, 32}, w).shape.bytes() == 32 * 18);
  matrix none({dtype::int4, 1, 32}, std::vector<float>(32));
  CHECK(none.row(0) == std::vector<float>(32));
}
