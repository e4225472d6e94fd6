// tests/sim/profile/report.hpp: the figures of some runs beside the paper's, for people and as JSON.
#pragma once

#include "tests/sim/profile/figures.hpp"

#include <iosfwd>

namespace virga::testing {

struct run_figures {
  world_options options;
  figures found;
  double wall_s = 0;  ///< of this machine
};

/// One profile's runs as a Markdown table, and what it says about the published reductions.
void print(std::ostream& out, const std::vector<run_figures>& runs);

/// One object a run; times in milliseconds.
std::string as_json(const std::vector<run_figures>& runs);

/// MiB that this process has held at most.
std::uint64_t peak_mib();

} // namespace virga::testing
