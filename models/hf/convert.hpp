// models/hf/convert.hpp: the numbers of a tensor as f64 or f32.
#pragma once

#include "models/hf/safetensors.hpp"

namespace virga::models::hf {

/// All elements in row-major order. Widening is exact; F64 to float rounds to nearest.
template <class Real>
std::vector<Real> to_reals(const tensor_view& t);

/// The same into memory of the caller's.
template <class Real>
void to_reals(const tensor_view& t, Real* to);

extern template void to_reals(const tensor_view&, float*);
extern template void to_reals(const tensor_view&, double*);
extern template std::vector<float> to_reals(const tensor_view&);
extern template std::vector<double> to_reals(const tensor_view&);

} // namespace virga::models::hf
