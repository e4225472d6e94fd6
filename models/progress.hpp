// models/progress.hpp: how long work on big files says how far it is. No torch, no CAF.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace virga::models {

/// @param what is being done, such as "hashing model.safetensors" @param done, total bytes
/// Called often and cheaply, by one thread at a time; whoever shows it decides how often. The last call of one
/// `what` has done == total.
using load_progress = std::function<void(std::string_view what, std::uint64_t done, std::uint64_t total)>;

} // namespace virga::models
