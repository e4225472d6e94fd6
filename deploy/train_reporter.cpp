#include "deploy/train_reporter.hpp"

#include <unistd.h>

#include <chrono>
#include <iostream>

namespace virga::deploy {

namespace train = models::train;

namespace {

class reporter {
public:
  void operator()(const train::progress& p) {
    const auto now = std::chrono::steady_clock::now();
    if (now - shown_ < (terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(30'000))
        && p.step < p.steps)
      return;
    shown_ = now;
    std::cerr << (terminal_ ? "\r" : "") << train::progress_line(p) << (terminal_ ? " \033[K" : "\n") << std::flush;
    if (terminal_ && p.step == p.steps)
      std::cerr << "\n";
  }

private:
  bool terminal_ = ::isatty(2) == 1;
  std::chrono::steady_clock::time_point shown_{};
};

} // namespace

std::function<void(const train::progress&)> train_reporter() { return reporter(); }

void warn_of_slow_products(train::product_type products) {
  constexpr double slow_gflops = 20;  // an hour becomes many
  if (const auto speed = train::product_speed(products); speed < slow_gflops)
    std::cerr << "virga: matrix products run at only " << static_cast<int>(speed)
              << " GFLOP/s here; training will be slow. Is another program busy, or the BLAS without vector units?\n";
}

} // namespace virga::deploy
