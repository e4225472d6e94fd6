// deploy/bench/plan_bench.hpp: is `virga plan` right? (`virga bench plan`)
//
// The manifest is launched with links that add nothing. In each of three rounds the constants are measured there, then the shaper of
// the first edge's link is told four other settings, one after the other, and each strategy is asked. What the rounds took
// together is compared with the forecast from the constants of the same rounds: a machine's pace changes from minute to minute.
#pragma once

#include "deploy/manifest.hpp"

#include <boost/json/object.hpp>

#include <functional>
#include <string>

namespace virga::deploy {

/// @returns {"rows": [{"edge", "strategy", "what": "TTFT" or "TBT", "link", "forecast_ms", "measured_ms", "value": measured / forecast,
///   "goal": 1.2, "reached": value within 0.8 and 1.2}]}; of the first edge
/// @throws failed, bad_input when no edge has a gateway
boost::json::object bench_plan(const manifest& m, const std::string& prompt, const std::function<void(const std::string&)>& say);

} // namespace virga::deploy
