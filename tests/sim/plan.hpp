// tests/sim/plan.hpp: one seed of the simulation: requests, faults while they run, and the judgement.
#pragma once

#include "tests/sim/deployment.hpp"

namespace virga::testing {

struct verdict {
  std::vector<std::string> broken;  ///< promises, one sentence each; empty: all is well
  history seen;
};

/// The models of all seeds.
const sim_models& shared_models();

/// Requests in the first second, faults while they run, also of what recovers from another, now and then a cancel.
/// When the faults stop, everything works again within 3 s, and in the end nothing is left of the requests.
verdict run_seed(std::uint64_t seed, planted_bug planted = planted_bug::none);

std::string sentence(std::uint64_t seed, const std::vector<std::string>& broken);

/// A number in the environment.
std::uint64_t from_environment(const char* name, std::uint64_t otherwise);

} // namespace virga::testing
