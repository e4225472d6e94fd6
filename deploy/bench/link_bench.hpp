// deploy/bench/link_bench.hpp: `virga bench link`: links against what they stand on, in one interleaved run.
#pragma once

#include <boost/json/object.hpp>

#include <functional>
#include <string>

namespace virga::deploy {

/// Runs all measurements of links. Each figure is checked: what arrived is what was sent, or it throws.
/// @param quick fewer repetitions, for a look
/// @param only those whose name contains this
/// @param say progress for people
/// @returns rows of figures, each with its goal and whether it was reached
/// @throws std::runtime_error
boost::json::object bench_link(bool quick, const std::string& only, const std::function<void(const std::string&)>& say);

} // namespace virga::deploy
