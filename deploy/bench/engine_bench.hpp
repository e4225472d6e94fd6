// deploy/bench/engine_bench.hpp: how fast does the engine prefill and decode (`virga bench engine`), beside libtorch's
// own operators over the same weights in the same run.
//
// Both shards are loaded; they take turns, and who begins changes from round to round. A ratio is the median over the
// rounds. A step's time has everything: the choice of the token and the copy of what was asked for. Before anything is
// timed both answer a prompt, and the difference of their logits is printed with the figures: no speed without it. libtorch's side is at::linear with weights as they
// are stored; its prepacked products (oneDNN) are faster for one row, so its ratios flatter us. For int8 and int4 it is bf16: there the
// difference holds the price of the narrow weights as well, and the identity of the arithmetic is narrow_weights_test's matter.
#pragma once

#include <boost/json/object.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace virga::deploy {

struct engine_options {
  std::string model;  ///< its folder; empty: the shape of Qwen2.5-0.5B with random weights
  std::vector<std::string> dtypes{"f32", "bf16", "int8", "int4"};
  std::uint32_t threads = 1;  ///< the process is started again with so many
  std::uint32_t prompt = 512, tokens = 128, depth = 0, rounds = 5;
};

/// @returns {"rows": [{"dtype", "threads", "prompt", "tokens", "depth", "against", "decode_ratio", "decode_spread":
/// [p10, p90],
///   "prefill_ratio", "prefill_spread", "decode_tokens_per_s", "prefill_tokens_per_s", "decode_bandwidth_share",
///   "read_gb_per_s", "logits_difference": root of the relative square}]}
/// @throws bad_input for a folder that cannot be run or is not a whole model
boost::json::object bench_engine(const engine_options& o, const std::function<void(const std::string&)>& say);

} // namespace virga::deploy
