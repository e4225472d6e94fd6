// deploy/bench/load_bench.hpp: how long until a model folder on a cold disk answers (`virga bench load`), beside reading
// its files once.
//
// In each round, in turns: the files are dropped from the page cache and read from their beginning to their end; they
// are dropped again, then folder and shard are made and a first token is asked for, so that every page was needed. How
// much was still in the page cache is measured (mincore) and printed. A ratio is the median over the rounds.
#pragma once

#include <boost/json/object.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace virga::deploy {

struct load_options {
  std::string model;  ///< its folder; empty: the shape of Qwen2.5-0.5B with random weights, quantised
  std::vector<std::string> dtypes{};  ///< empty: that of a quantised folder, else f32, bf16, int8 and int4
  std::uint32_t threads = 0;  ///< 0: all cores; the process is started again with so many
  std::uint32_t rounds = 5;
};

/// @returns {"rows": [{"dtype", "quantised", "threads", "bytes", "rounds", "read_s", "ready_s", "warm_ready_s": with the
///   files in the page cache, "ratio": ready to read, "ratio_spread": [p10, p90], "read_gb_per_s", "cached": largest
///   share of the files that could not be dropped, "goal", "reached"}]}
/// @throws bad_input for a folder that cannot be run or is not a whole model
boost::json::object bench_load(const load_options& o, const std::function<void(const std::string&)>& say);

} // namespace virga::deploy
