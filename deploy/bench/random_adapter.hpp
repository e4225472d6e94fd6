// deploy/bench/random_adapter.hpp: an adapter that never learned anything: the control whose drafts fall.
#pragma once

#include <cstdint>
#include <filesystem>

namespace virga::deploy {

/// Writes it into `dir`, for this model folder. @throws models::bad_model, std::runtime_error
void write_random_adapter(const std::filesystem::path& model, std::uint32_t split, const std::filesystem::path& dir);

} // namespace virga::deploy
