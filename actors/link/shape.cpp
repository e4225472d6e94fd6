#include "actors/link/shape.hpp"

namespace virga {

namespace {

std::chrono::nanoseconds ms(double x) { return std::chrono::nanoseconds{static_cast<std::int64_t>(x * 1e6)}; }
std::uint64_t bytes_per_s(double mbit) { return static_cast<std::uint64_t>(mbit * 125'000); }

} // namespace

link_shape shape_of(double rtt_ms, double jitter_ms, double up_mbit, double down_mbit) {
  link_shape s;
  s.up.latency = s.down.latency = ms(rtt_ms / 2);
  s.up.jitter = s.down.jitter = ms(jitter_ms);
  s.up.bytes_per_s = bytes_per_s(up_mbit);
  s.down.bytes_per_s = bytes_per_s(down_mbit);
  return s;
}

void apply(const flow_change& change, flow_shape& shape) {
  if (change.latency_ms)
    shape.latency = ms(*change.latency_ms);
  if (change.jitter_ms)
    shape.jitter = ms(*change.jitter_ms);
  if (change.mbit)
    shape.bytes_per_s = bytes_per_s(*change.mbit);
  shape.flips_per_mb = change.flips_per_mb.value_or(shape.flips_per_mb);
  shape.slice_bytes = change.slice_bytes.value_or(shape.slice_bytes);
  if (change.slice_delay_ms)
    shape.slice_delay = ms(*change.slice_delay_ms);
  shape.partitioned = change.partitioned.value_or(shape.partitioned);
}

} // namespace virga
