// models/kernels/timed.hpp: how much of the engine's time its kernels take. For benchmarks: not thread-safe, and with
// more than one thread the sum is that of all.
#pragma once

namespace virga::models::kernels {

/// From now on best_kernels() is a set that adds up its time, or no longer. The sum begins at 0.
void time_kernels(bool on);

double seconds_in_kernels();

} // namespace virga::models::kernels
