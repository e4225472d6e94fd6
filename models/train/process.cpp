// The torch process a training run lives in.
#include "models/train/run.hpp"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <chrono>

namespace virga::models::train {

void prepare_process(int threads) {
  if (threads > 0) {
    at::set_num_threads(threads);
  }
  at::globalContext().setFlushDenormal(true);
#if defined(__GLIBC__)
  // Tensors of a step are megabytes: without this each one is mapped and page-faulted anew.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 2'000'000'000);
#endif
}

double product_speed(product_type products) {
  const auto type = products == product_type::bf16 ? at::kBFloat16 : at::kFloat;
  const auto a = at::ones({512, 512}, type), b = at::ones({512, 512}, type);
  at::mm(a, b);
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    at::mm(a, b);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * 512 * 512 * 512 / took.count() / 1e9);
  }
  return best;
}

} // namespace virga::models::train
