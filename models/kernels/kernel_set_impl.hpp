// models/kernels/kernel_set_impl.hpp: all kernels over the vectors of an instruction set (vectors_impl.hpp).
#pragma once

#include "models/kernels/attention_impl.hpp"
#include "models/kernels/keep_impl.hpp"
#include "models/kernels/tiles_impl.hpp"

namespace {

/// While compiling: code that runs at the start of every process must not be for one CPU.
template <class Isa>
constexpr kernel_set kernels_of(const char* name, bool (*runs_here)()) {
  return {name, runs_here, preparing<Isa>::prepare, tiles<Isa>::multiply, row_work<Isa>::rms_norm, row_work<Isa>::rotate,
          row_work<Isa>::swiglu, keeping<Isa>::keep, attention<Isa>::attend, row_work<Isa>::summarise};
}

} // namespace
