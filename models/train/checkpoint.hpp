// models/train/checkpoint.hpp: the checkpoint file: magic, the run's options as text, counters, then arrays.
#pragma once

#include "models/train/stepwise.hpp"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace virga::models::train {

/// @param run one line that names everything that must agree for a resumed run to be the same run
/// @throws std::runtime_error when the disk refuses
void write_checkpoint(const std::filesystem::path& file, const std::string& run, const progress& p,
                      const std::vector<std::span<const std::byte>>& arrays);

/// Reads counters and arrays of the sizes given. @throws std::runtime_error when the file is damaged or of another run
void read_checkpoint(const std::filesystem::path& file, const std::string& run, progress& p,
                     const std::vector<std::span<std::byte>>& arrays);

} // namespace virga::models::train
