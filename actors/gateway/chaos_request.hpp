// actors/gateway/chaos_request.hpp: POST /chaos of an admin address, between JSON and plain values. What may be changed
// and in which words is actors/link/shape.hpp's.
#pragma once

#include "actors/gateway/api_error.hpp"
#include "actors/link/shape.hpp"

#include <string>
#include <string_view>
#include <variant>

namespace virga {

struct chaos_request {
  std::string peer;  ///< node at the other end of the link
  shape_change what;
};

/// {"peer", "up": {...}, "down": {...}, "stall_ms", "cut", "reset"}; "up" and "down" have flow_change's fields.
/// @returns the request, or 400 naming the field
std::variant<chaos_request, api_error> parse_chaos(std::string_view body);

/// {"up", "down"}, each with latency_ms, jitter_ms, mbit, flips_per_mb, slice_bytes, slice_delay_ms, partitioned.
std::string shape_json(const link_shape& s);

} // namespace virga
