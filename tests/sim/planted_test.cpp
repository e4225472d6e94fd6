// tests/sim/planted_test.cpp: the checker of the simulation is checked: bugs planted in the production code, behind a switch that
// no manifest has, are found by it alone.
#include "tests/sim/plan.hpp"
#include "tests/support/catch.hpp"

#include <spdlog/spdlog.h>

#include <iostream>

using namespace virga;
using namespace virga::testing;

TEST_CASE("the checker finds each planted bug within a thousand seeds", "[sim]") {
  spdlog::set_level(spdlog::level::off);
  auto [bug, name] = GENERATE(table<planted_bug, const char*>({
    {planted_bug::lost_truncate, "lost truncate"},
    {planted_bug::accepted_duplicate, "accepted duplicate"},
    {planted_bug::swallowed_error, "swallowed error"},
    {planted_bug::forgotten_answer, "forgotten answer"},
    {planted_bug::second_end, "second end"},
    {planted_bug::lost_pending, "lost pending"},
    {planted_bug::single_dial, "single dial"},
    {planted_bug::untold_roles, "untold roles"},
    {planted_bug::dropped_stray, "dropped stray"},
    {planted_bug::kept_placement, "kept placement"},
    {planted_bug::leaked_sequences, "leaked sequences"},
  }));
  constexpr std::uint64_t seeds = 1000;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed)
    if (auto v = run_seed(seed, bug); !v.broken.empty()) {
      std::cout << "planted bug \"" << name << "\": " << seed << " seeds; " << sentence(seed, v.broken) << std::endl;
      SUCCEED();
      return;
    }
  FAIL("the planted bug \"" << name << "\" is not found in " << seeds << " seeds");
}
