#include "models/wire_rows.hpp"

#include "models/shard.hpp"
#include "models/small_floats.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace virga::models {

namespace {

template <class Raw>
Raw load(const byte_buffer& from, std::size_t index) {
  Raw raw;
  std::memcpy(&raw, from.data() + index * sizeof raw, sizeof raw);
  return raw;
}

template <class Raw>
void store(byte_buffer& to, std::size_t index, Raw raw) {
  std::memcpy(to.data() + index * sizeof raw, &raw, sizeof raw);
}

/// `to` holds [rows, cols]; calls write(index, value as Real) for each element of `from`.
template <class Real, class Write>
void each(const tensor& from, Write write) {
  const auto count = std::size_t{from.rows} * from.cols;
  switch (from.type) {
    case dtype::f64:
      for (std::size_t i = 0; i < count; ++i)
        write(i, static_cast<Real>(load<double>(from.data, i)));
      break;
    case dtype::f32:
      for (std::size_t i = 0; i < count; ++i)
        write(i, static_cast<Real>(load<float>(from.data, i)));
      break;
    case dtype::bf16:
      for (std::size_t i = 0; i < count; ++i)
        write(i, static_cast<Real>(from_bf16(load<std::uint16_t>(from.data, i))));
      break;
    case dtype::f16:
      for (std::size_t i = 0; i < count; ++i)
        write(i, static_cast<Real>(from_f16(load<std::uint16_t>(from.data, i))));
      break;
    case dtype::i8_rows: {
      const auto scales = from.rows * sizeof(float);
      for (std::size_t i = 0; i < count; ++i)
        write(i, static_cast<Real>(load<float>(from.data, i / from.cols))
                   * static_cast<Real>(static_cast<std::int8_t>(from.data[scales + i])));
      break;
    }
    case dtype::int8:
    case dtype::int4: throw std::logic_error("blocks of weights are no rows");
  }
}

/// One scale per row, so a large channel costs only its own row precision.
void write_i8_rows(const tensor& from, tensor& to) {
  std::vector<float> x(std::size_t{from.rows} * from.cols);
  each<float>(from, [&](std::size_t i, float v) { x[i] = v; });
  const auto scales = from.rows * sizeof(float);
  for (std::size_t row = 0; row < from.rows; ++row) {
    auto values = std::span(x).subspan(row * from.cols, from.cols);
    float largest = 0;
    for (auto v : values)
      largest = std::max(largest, std::abs(v));
    const auto scale = largest / 127;
    store(to.data, row, scale);
    for (std::size_t i = 0; i < values.size(); ++i)
      to.data[scales + row * from.cols + i] =
        static_cast<std::byte>(scale > 0 ? static_cast<std::int8_t>(std::lround(values[i] / scale)) : 0);
  }
}

} // namespace

bool all_finite(const tensor& t) {
  bool good = true;
  each<double>(t, [&](std::size_t, double v) { good = good && std::isfinite(v); });
  return good;
}

std::uint64_t row_bytes(dtype type, std::uint32_t cols) noexcept {
  return std::uint64_t{cols} * size_of(type) + (type == dtype::i8_rows ? sizeof(float) : 0);
}

tensor converted(tensor rows, dtype to) {
  if (rows.data.size() != rows.rows * row_bytes(rows.type, rows.cols))
    throw bad_segment("rows [" + std::to_string(rows.rows) + ", " + std::to_string(rows.cols) + "] of "
                      + std::string(to_string(rows.type)) + " came in " + std::to_string(rows.data.size()) + " bytes");
  if (rows.type == to)
    return rows;
  tensor out{to, rows.rows, rows.cols, {}};
  out.data.resize(rows.rows * row_bytes(to, rows.cols));
  switch (to) {
    case dtype::f64: each<double>(rows, [&](std::size_t i, double v) { store(out.data, i, v); }); break;
    case dtype::f32: each<float>(rows, [&](std::size_t i, float v) { store(out.data, i, v); }); break;
    case dtype::bf16: each<float>(rows, [&](std::size_t i, float v) { store(out.data, i, to_bf16(v)); }); break;
    case dtype::f16: each<float>(rows, [&](std::size_t i, float v) { store(out.data, i, to_f16(v)); }); break;
    case dtype::i8_rows: write_i8_rows(rows, out); break;
    case dtype::int8:
    case dtype::int4: throw std::logic_error("blocks of weights are no rows");
  }
  if (!all_finite(out))
    throw bad_segment("the rows hold a number that " + std::string(to_string(to))
                      + " cannot: choose bf16 or f32 for the wire");
  return out;
}

} // namespace virga::models
