#include "models/hf/convert.hpp"

#include "models/small_floats.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

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

template <class Raw, class Real, class Convert>
void convert_all(const tensor_view& t, Real* to, Convert convert) {
  for (std::size_t i = 0, count = t.data.size() / sizeof(Raw); i < count; ++i)
    to[i] = static_cast<Real>(convert(load<Raw>(t.data.data() + i * sizeof(Raw))));
}

} // namespace

template <class Real>
void to_reals(const tensor_view& t, Real* to) {
  if (t.packed)
    throw std::logic_error("to_reals: the tensor " + t.name + " is packed");
  switch (t.type) {
    case dtype::f64: return convert_all<double>(t, to, [](double v) { return v; });
    case dtype::f32: return convert_all<float>(t, to, [](float v) { return v; });
    case dtype::bf16: return convert_all<std::uint16_t>(t, to, from_bf16);
    case dtype::f16: return convert_all<std::uint16_t>(t, to, from_f16);
    case dtype::i8_rows:
    case dtype::int8:
    case dtype::int4: break;
  }
  throw std::logic_error("to_reals: tensor files hold numbers only");
}

template <class Real>
std::vector<Real> to_reals(const tensor_view& t) {
  std::vector<Real> out(t.data.size() / std::max<std::size_t>(1, size_of(t.type)));
  to_reals(t, out.data());
  return out;
}

template void to_reals(const tensor_view&, float*);
template void to_reals(const tensor_view&, double*);
template std::vector<float> to_reals(const tensor_view&);
template std::vector<double> to_reals(const tensor_view&);

} // namespace virga::models::hf
