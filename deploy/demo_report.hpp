// deploy/demo_report.hpp: what the demonstration found: one row per strategy, whether the promises hold, and a SHA-256 of
// each text so that others can compare theirs.
#pragma once

#include "deploy/demo_run.hpp"
#include "models/world/statistics.hpp"

#include <ostream>

namespace virga::deploy {

/// One strategy in numbers. Times are the client's.
struct strategy_row {
  std::string name;
  std::uint64_t failed = 0;
  models::world::rate exact;       ///< token for token the one right answer
  double ttft_ms = 0;              ///< median
  double tbt_ms = 0;               ///< mean over all tokens after the first
  double tokens_per_s = 0;         ///< of one request: tokens over the time from request to end
  double bytes_up_per_token = 0;   ///< edge to cloud
  double bytes_down_per_token = 0;
  double compute_ms_per_token = 0; ///< inside the shards, cloud and edge together
  std::uint64_t tokens = 0, long_answers = 0;  ///< of 40 tokens or more
  double tokens_per_round_trip = 0;  ///< across the link; 0: none
  std::uint64_t identical = 0;     ///< texts that are cloud's
};

/// Something that must hold, with the numbers that say whether it does.
struct promise {
  std::string text;
  bool holds = false;
};

struct demo_report {
  std::vector<strategy_row> strategies;
  double rtt_ms = 0;                          ///< of the links, measured by their heartbeats
  double seconds = 0;                         ///< launch to shut-down
  std::vector<promise> promises;
  bool all_hold() const;
};

demo_report make_report(const std::vector<demo_answers>& answers, double rtt_ms);

void print_report(std::ostream& out, const demo_report& r);

/// report.json.
std::string report_json(const demo_report& r, const std::vector<demo_answers>& answers,
                        const std::vector<models::world::question>& questions);

} // namespace virga::deploy
