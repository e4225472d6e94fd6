#include "models/kernels/timed.hpp"

#include "models/kernels/kernels.hpp"

#include <atomic>
#include <chrono>

namespace virga::models::kernels {

namespace {

std::atomic<std::int64_t> nanoseconds{0};
const kernel_set* timed_set = nullptr;

/// Runs this member of the best set, timed.
template <auto member, class R, class... As>
R timed(As... as) {
  struct timer {
    std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
    ~timer() { nanoseconds += (std::chrono::steady_clock::now() - begun).count(); }
  } t;
  return (timed_set->*member)(as...);
}

template <auto member, class R, class... As>
void replace(kernel_set& set, R (*)(As...)) {
  set.*member = timed<member, R, As...>;
}

} // namespace

void time_kernels(bool on) {
  static const auto& best = best_kernels();
  static const auto wrapped = [] {
    auto set = best;
    timed_set = &best;
    replace<&kernel_set::prepare>(set, set.prepare);
    replace<&kernel_set::multiply>(set, set.multiply);
    replace<&kernel_set::rms_norm>(set, set.rms_norm);
    replace<&kernel_set::rotate>(set, set.rotate);
    replace<&kernel_set::swiglu>(set, set.swiglu);
    replace<&kernel_set::keep>(set, set.keep);
    replace<&kernel_set::attend>(set, set.attend);
    replace<&kernel_set::summarise>(set, set.summarise);
    return set;
  }();
  nanoseconds = 0;
  use_kernels(on ? &wrapped : nullptr);
}

double seconds_in_kernels() { return 1e-9 * static_cast<double>(nanoseconds); }

} // namespace virga::models::kernels
