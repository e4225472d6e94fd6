// models/wire_rows.hpp: hidden rows in the dtype in which they travel, and back in the one in which a shard computes.
// i8_rows: one f32 scale per row, then [rows, cols] signed bytes; an element is scale * byte, the row's largest is 127
// steps.
// Source: HAT (arXiv 2503.18989) sends 16 bits (inferred from its bandwidths); what narrower rows change in answers is
// measured.
#pragma once

#include "messages/types.hpp"

namespace virga::models {

/// The same rows in dtype `to`; unchanged when they have it. f64 and f32 convert to all dtypes and back.
/// @throws bad_segment when the data has not the bytes of its shape, or an element is not finite in `to`: f16 ends at
/// 65504
tensor converted(tensor rows, dtype to);

/// Neither NaN nor infinity. The data has the bytes of its shape.
bool all_finite(const tensor& rows);

/// Bytes of one row of so many elements.
std::uint64_t row_bytes(dtype type, std::uint32_t cols) noexcept;

} // namespace virga::models
