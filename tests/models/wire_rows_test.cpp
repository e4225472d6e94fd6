#include "models/hf/convert.hpp"
#include "models/shard.hpp"
#include "models/small_floats.hpp"
#include "models/wire_rows.hpp"
#include "tests/support/catch.hpp"

#include <cmath>
#include <cstring>
#include <random>

using namespace virga;
using namespace virga::models;

namespace {

template <class Real>
tensor rows_of(std::uint32_t rows, const std::vector<Real>& values) {
  tensor t{sizeof(Real) == 8 ? dtype::f64 : dtype::f32, rows, static_cast<std::uint32_t>(values.size() / rows), {}};
  t.data.resize(values.size() * sizeof(Real));
  std::memcpy(t.data.data(), values.data(), t.data.size());
  return t;
}

std::vector<double> numbers(const tensor& t) { return hf::to_reals<double>({"", t.type, {t.rows, t.cols}, t.data}); }

std::vector<float> noise(std::size_t count, double spread, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, spread);
  std::vector<float> out(count);
  for (auto& v : out)
    v = static_cast<float>(normal(random));
  return out;
}

} // namespace

TEST_CASE("every f16 and bf16 goes to f32 and back unchanged", "[models][wire]") {
  std::size_t wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    auto b = static_cast<std::uint16_t>(bits);
    auto half = from_f16(b), brain = from_bf16(b);
    wrong += std::isnan(half) ? !std::isnan(from_f16(to_f16(half))) : to_f16(half) != b;
    wrong += std::isnan(brain) ? !std::isnan(from_bf16(to_bf16(brain))) : to_bf16(brain) != b;
  }
  CHECK(wrong == 0);
}

TEST_CASE("f16 and bf16 round to the nearest, ties to even", "[models][wire]") {
  auto values = noise(20000, 3000, 1);
  for (auto v : noise(20000, 1e-5, 2))
    values.push_back(v);
  for (auto v : {65503.9f, 65519.9f, 65520.f, 1e9f, 6e-8f, 2.9e-8f, 2.98e-8f, 0.f, 6.1e-5f})
    values.push_back(v);
  auto nearest = [](float v, auto from, std::uint16_t got) {
    if (!std::isfinite(from(got)))
      return std::abs(v) >= 65520;
    auto error = std::abs(static_cast<double>(from(got)) - v);
    auto up = static_cast<double>(from(static_cast<std::uint16_t>(got + 1))), down = static_cast<double>(from(static_cast<std::uint16_t>(got - 1)));
    auto no_closer = [&](double other) { return !std::isfinite(other) || error <= std::abs(other - v); };
    return no_closer(up) && ((got & 0x7fff) == 0 || no_closer(down));
  };
  std::size_t wrong = 0;
  for (auto v : values)
    for (auto x : {v, -v})
      wrong += !nearest(x, from_f16, to_f16(x)) + !nearest(x, from_bf16, to_bf16(x));
  CHECK(wrong == 0);
  CHECK(to_f16(1 + 0x1p-11f) == to_f16(1));
  CHECK(to_f16(1 + 3 * 0x1p-11f) == to_f16(1 + 0x1p-9f));
  CHECK(to_bf16(1 + 0x1p-8f) == to_bf16(1));
  CHECK(from_f16(to_f16(65519.9f)) == 65504);
  CHECK(std::isinf(from_f16(to_f16(65520))));
}

TEST_CASE("rows come back as near as their wire dtype allows", "[models][wire]") {
  auto values = noise(5 * 33, 4, 3);
  auto rows = rows_of(5, values);
  auto error = [&](dtype wire) {
    auto there = converted(rows, wire);
    CHECK(there.type == wire);
    CHECK(there.data.size() == 5 * row_bytes(wire, 33));
    auto back = numbers(converted(there, dtype::f32));
    double worst = 0;
    for (std::size_t i = 0; i < values.size(); ++i)
      worst = std::max(worst, std::abs(back[i] - values[i]) / 16);  // the largest of a row is some 16
    return worst;
  };
  CHECK(error(dtype::f64) == 0);
  CHECK(error(dtype::f32) == 0);
  CHECK(error(dtype::f16) < 0x1p-11);
  CHECK(error(dtype::bf16) < 0x1p-8);
  CHECK(error(dtype::i8_rows) < 0.6 / 127);
  CHECK(error(dtype::f16) > 0);
  CHECK(error(dtype::bf16) > error(dtype::f16));
  CHECK(row_bytes(dtype::i8_rows, 33) == 37);
}

TEST_CASE("i8_rows gives each row its own scale and its largest number 127 steps", "[models][wire]") {
  auto rows = rows_of<float>(3, {1, -2, 0.5f, 1000, 0, -250, 0, 0, 0});
  auto there = converted(rows, dtype::i8_rows);
  auto at = [&](std::size_t i) { return static_cast<int>(static_cast<std::int8_t>(there.data[12 + i])); };
  CHECK(at(1) == -127);
  CHECK(at(3) == 127);
  CHECK(at(5) == -32);
  CHECK(at(6) == 0);
  auto back = numbers(converted(there, dtype::f64));
  CHECK(back[1] == Approx(-2));
  CHECK(back[3] == Approx(1000));
  CHECK(back[8] == 0);
}

TEST_CASE("f64 rows pass through f64 bit by bit", "[models][wire]") {
  auto rows = rows_of<double>(2, {1.0 / 3, 2e300, -1e-300, 4});
  CHECK(converted(rows, dtype::f64).data == rows.data);
  auto small = rows_of<double>(1, {1.0 / 3});
  CHECK(numbers(converted(small, dtype::f32))[0] == static_cast<double>(1.f / 3.f));
}

TEST_CASE("rows that cannot travel are refused with the cure", "[models][wire]") {
  auto refused = [](const tensor& t, dtype to, const char* says) {
    try {
      converted(t, to);
      FAIL("taken");
    } catch (const bad_segment& e) {
      CHECK(std::string(e.what()).find(says) != std::string::npos);
    }
  };
  refused(rows_of<float>(1, {70000, 1}), dtype::f16, "choose bf16 or f32");
  refused(rows_of<double>(1, {1e300, 1}), dtype::f32, "f32 cannot");
  refused(rows_of<float>(1, {NAN, 1}), dtype::bf16, "cannot");
  refused(rows_of<float>(1, {INFINITY, 1}), dtype::i8_rows, "cannot");
  auto cut = rows_of<float>(2, {1, 2, 3, 4});
  cut.data.pop_back();
  refused(cut, dtype::f16, "came in 15 bytes");
  refused(cut, dtype::f32, "came in 15 bytes");
}
