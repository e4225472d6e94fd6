// models/torch/big_pages_impl.hpp: memory for weights. Private to models/torch.
#pragma once

#include <ATen/ATen.h>

namespace virga::models::torch_impl {

/// `bytes` bytes, uninitialised, in the CPU's big pages (2 MB) where the system gives them on request: a step reads all
/// weights, and with small pages it looks up an address for each 4 kB. @throws c10::Error without memory
at::Tensor in_big_pages(std::int64_t bytes);

} // namespace virga::models::torch_impl
