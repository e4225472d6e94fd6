// models/train/test_reads.hpp: every look at the test split leaves a line. The test split is for tables that are reported,
// never for choosing anything; thresholds are chosen on validation.
#pragma once

#include <filesystem>
#include <string>

namespace virga::models::train {

/// $XDG_STATE_HOME/virga/test-reads.log, by default below ~/.local/state.
std::filesystem::path default_test_read_log();

/// Appends time and `what` to the file. @returns a sentence that says so, or that it could not be written
std::string log_test_read(const std::filesystem::path& file, const std::string& what);

} // namespace virga::models::train
