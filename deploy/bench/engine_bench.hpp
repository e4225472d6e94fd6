// deploy/bench/engine_bench.hpp: how fast does the engine prefill and decode (`virga bench engine`), beside llama.cpp or
// libtorch's own operators with the same weights at the same bit width.
//
// Each side is a process of its own that has its weights loaded; they take turns in short bursts, and who begins changes
// from round to round. A ratio is the median of the rounds' ratios. llama.cpp is tried in variants (with and without
// flash attention, weights mapped or read), all in each round, and the quickest counts for that round. A step's time has
// everything: the choice of the token and the copy of the logits. Before anything is timed all sides answer a prompt,
// and the difference of their logits is printed with the figures: no speed without it.
#pragma once

#include <boost/json/object.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace virga::deploy {

struct engine_options {
  std::string model;                       ///< its folder; empty: the shape of Qwen2.5-0.5B with random weights
  std::vector<std::string> dtypes{"bf16", "int8", "int4"};
  std::vector<std::string> against{"llama.cpp"};  ///< or libtorch: at::linear, int8 and int4 as bf16
  std::vector<std::uint32_t> threads{1, 2};
  std::uint32_t prompt = 512, tokens = 128, rounds = 5;
  std::vector<std::uint32_t> depths{0};    ///< decode behind so many tokens; 0: behind the prompt
  std::string python;                      ///< that has llama-cpp-python; empty: what setup.sh --bench installed
};

/// @returns {"rows": [{"dtype", "threads", "prompt", "tokens", "depth", "against", "decode_ratio", "decode_spread":
///   [p10, p90], "prefill_ratio", "prefill_spread", "decode_tokens_per_s", "prefill_tokens_per_s",
///   "decode_bandwidth_share", "read_gb_per_s", "logits_difference": root of the relative square}],
///   "alone": [{"dtype", "threads", "batch8_ratio", "batch32_ratio": tokens/s over one sequence's, "beside_chunk": time of a step of
///   256 tokens of a prompt and the next tokens of 8 sequences, over that of the 256 alone, "prefix_ratio": time to the
///   first token of a prompt of which seven eighths were seen, over that of the whole prompt, "outside_kernels":
///   share of a step, one thread only, "idle_core_share", "busy_ratio": decode speed while another process takes a
///   core, over that without, "busy_ratio_other"}]}
/// @throws bad_input for a folder that cannot be run or is not a whole model, or where llama.cpp is missing
boost::json::object bench_engine(const engine_options& o, const std::function<void(const std::string&)>& say);

} // namespace virga::deploy
