// tests/sim/sim_test.cpp: seeds of faults against the whole deployment in virtual time. A failing seed prints itself;
// VIRGA_SIM_SEED=n runs only that one, VIRGA_SIM_SEEDS=n that many.
#include "tests/sim/plan.hpp"
#include "tests/support/catch.hpp"

#include <spdlog/spdlog.h>

#include <iomanip>
#include <iostream>

using namespace virga;
using namespace virga::testing;

namespace {

constexpr std::array phases{phase::waiting, phase::answering, phase::recovering};

/// What the seeds did: how often each fault struck a request in each phase, and how requests ended.
struct summary {
  void add(const history& h) {
    struck += h.struck() ? 1 : 0;
    for (auto& f : h.faults) {
      auto& row = cells[f.kind];
      for (auto& [number, when] : f.struck)
        ++row[static_cast<std::size_t>(std::ranges::find(phases, when) - phases.begin())];
    }
    for (auto& [number, r] : h.requests)
      ++ends[r.ends.empty()                              ? "connection lost"
             : r.error == ec::none && r.attempts > 1 ? "complete after a fault"
                                                         : std::string{to_string(r.error)}];
  }

  void print(std::size_t seeds) const {
    std::cout << "faults struck a request in flight in " << struck << " of " << seeds << " seeds\n"
              << std::left << std::setw(36) << "requests struck by" << std::right << std::setw(10) << "waiting"
              << std::setw(11) << "answering" << std::setw(12) << "recovering" << '\n';
    for (auto& [kind, row] : cells)
      std::cout << std::left << std::setw(36) << kind << std::right << std::setw(10) << row[0] << std::setw(11) << row[1]
                << std::setw(12) << row[2] << '\n';
    std::cout << "requests ended:";
    for (auto& [code, n] : ends)
      std::cout << ' ' << code << ' ' << n;
    std::cout << std::endl;
  }

  std::map<std::string, std::array<std::size_t, phases.size()>> cells;
  std::map<std::string, std::size_t> ends;
  std::size_t struck = 0;
};

} // namespace

TEST_CASE("every request keeps its promises under seeds of faults", "[sim]") {
  spdlog::set_level(spdlog::level::off);
  auto only = from_environment("VIRGA_SIM_SEED", 0);
  auto seeds = only != 0 ? 1 : from_environment("VIRGA_SIM_SEEDS", 1000);
  summary all;
  for (std::uint64_t seed = only != 0 ? only : 1, last = seed + seeds; seed < last; ++seed) {
    auto v = run_seed(seed);
    INFO(sentence(seed, v.broken) << '\n' << (v.broken.empty() ? "" : v.seen.transcript()));
    CHECK(v.broken.empty());
    all.add(v.seen);
  }
  all.print(seeds);
  if (seeds < 1000)
    return;
  CHECK(2 * all.struck >= seeds);
  for (auto& [kind, row] : all.cells) {
    INFO(kind << " must strike requests in every phase");
    CHECK(std::ranges::count(row, 0u) == 0);
  }
}

TEST_CASE("a seed replays identically", "[sim]") {
  spdlog::set_level(spdlog::level::off);
  for (std::uint64_t seed : {1u, 2u, 3u})
    CHECK(run_seed(seed).seen.transcript() == run_seed(seed).seen.transcript());
  CHECK(run_seed(1).seen.transcript() != run_seed(2).seen.transcript());
}
