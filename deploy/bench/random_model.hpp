// deploy/bench/random_model.hpp: a model of a real one's shape with weights of no meaning: for bytes and times of long
// prompts.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace virga::deploy {

/// Where benchmarks keep what they make, per user.
std::filesystem::path bench_cache();

/// The folder of a model of Qwen2-0.5B's shape (24 layers of 896, vocabulary 151,936) in bf16, made once per user in
/// the cache folder (1 GB, some 20 s). Its tokenizer is that of `words`, a model folder. @throws std::runtime_error
/// when the disk refuses
std::filesystem::path half_billion_shape(const std::filesystem::path& words, const std::function<void(const std::string&)>& say);

} // namespace virga::deploy
