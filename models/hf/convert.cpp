#include "models/hf/convert.hpp"

#include "models/small_floats.hpp"

#include <bit>
#include <cstring>

namespace virga::models::hf {

namespace {

/// Unaligned little-endian load.
template <class Raw>
Raw load(const std::byte* at) {
  static_assert(std::endian::native == std::endian::little);
  Raw raw;
  std::memcpy(&raw, at, sizeof raw);
  return raw;
}

template <class Real, class Raw, class Convert>
std::vector<Real> convert_all(const tensor_view& t, Convert convert) {
  std::vector<Real> out(t.data.size() / sizeof(Raw));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<Real>(convert(load<Raw>(t.data.data() + i * sizeof(Raw))));
  return out;
}

} // namespace

template <class Real>
std::vector<Real> to_reals(const tensor_view& t) {
  switch (t.type) {
    case dtype::f64: return convert_all<Real, double>(t, [](double v) { return v; });
    case dtype::f32: return convert_all<Real, float>(t, [](float v) { return v; });
    case dtype::bf16: return convert_all<Real, std::uint16_t>(t, from_bf16);
    case dtype::f16: return convert_all<Real, std::uint16_t>(t, from_f16);
    case dtype::i8_rows:
    case dtype::int8:
    case dtype::int4: break;
  }
  throw std::logic_error("to_reals: tensor files hold numbers only");
}

template std::vector<float> to_reals(const tensor_view&);
template std::vector<double> to_reals(const tensor_view&);

} // namespace virga::models::hf
