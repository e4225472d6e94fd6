// tests/sim/profile/paper.hpp: the hardware, models and prompts of HAT's evaluation (arXiv 2503.18989, as a note on the
// paper tells it; what it does not tell is an assumption and says so), and what a step costs on them:
//
//   max(weights / (0.8 bandwidth), rows x 2 parameters / (0.5 flops)) + cache read / (0.8 bandwidth)   for each stage
//
// A roofline: rows are free until the arithmetic takes longer than reading the weights. Weights and KV in 16 bits. 0.8
// and 0.5 are assumptions, the same for all hardware: what good kernels reach. Software costs nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace virga::testing {

struct hardware {
  double bytes_per_s = 0;  ///< of memory
  double flops = 0;        ///< 16-bit, dense
};

/// RTX A6000; Jetson AGX Xavier and Orin at full power (the paper changes their power modes; which ones is not known).
inline constexpr hardware a6000{768e9, 154.8e12}, xavier{136.5e9, 11e12}, orin{204.8e9, 42.5e12};

struct decoder_model {
  std::uint32_t layers = 0, device_layers = 0;  ///< of these, on the device
  double hidden = 0, feed_forward = 0, vocab = 32'000;
  double layer_parameters() const { return 4 * hidden * hidden + 3 * hidden * feed_forward; }
  double head_parameters() const { return hidden * vocab; }
  double adapter_parameters() const { return 4 * hidden * hidden; }
  double kv_bytes() const { return 4 * hidden; }                                      ///< of one position in one layer
  std::uint32_t row_bytes() const { return static_cast<std::uint32_t>(2 * hidden); }  ///< on the wire
};

inline constexpr decoder_model vicuna_7b{32, 2, 4096, 11'008}, vicuna_13b{40, 3, 5120, 13'824};

/// Seconds of a step that passes the stage.
struct stage_cost {
  double base_s = 0;      ///< always
  double weights_s = 0;   ///< at least
  double row_s = 0;       ///< for each row, if that is more
  double position_s = 0;  ///< and for each cached position that a segment looks at
  double of(double rows, double positions = 0) const {
    return base_s + std::max(weights_s, rows * row_s) + positions * position_s;
  }
};

/// @param kv_layers of the parameters' layers, those with a cache
stage_cost cost_of(const hardware& on, double parameters, double kv_layers, const decoder_model& m);

/// Lengths of prompts: a mixture of log-normal parts. The note tells mean and 90th percentile.
struct prompt_part {
  double share = 1, mean = 0, sigma = 0;
};

/// What the paper measured, in milliseconds; 0: not told.
struct published {
  double ttft = 0, tbt = 0;
};

struct paper_profile {
  std::string name;
  decoder_model model;
  std::vector<prompt_part> prompts;
  double requests_per_s = 0;    ///< of all devices
  double tokens_a_round = 0;    ///< of one device alone
  double batch_ms = 0;          ///< mean delay of a batch
  std::vector<published> rows;  ///< in the order of `method`
};

/// The paper's ablation, between its U-shape and its U-Sarathi. What they are here:
///   u_shape              `split`: the prompt whole, one token a round trip
///   u_sarathi            the same, and the cloud cuts prompts at 512 rows
///   chunked              `split`, the prompt in chunks as the cloud suggests
///   speculative          `hat` without guesses, the prompt whole
///   chunked_speculative  both
///   hat                  both, with guesses while the cloud verifies
///   ahead                and the likeliest guess goes to the cloud before the answer is there: virga's default, not the paper's
enum class method : std::uint8_t { u_shape, u_sarathi, chunked, speculative, chunked_speculative, hat, ahead };
inline constexpr std::size_t method_count = 7;
const char* name_of(method m);

/// Headline reductions against the baselines: of TTFT, and of TBT.
inline constexpr double published_ttft_cut = 0.54, published_tbt_cut = 0.77;

/// SpecBench with Vicuna-7B at 6 requests/s, CNN/DM with Vicuna-13B at 4.
const std::vector<paper_profile>& paper_profiles();

/// The cloud's pipeline.
inline constexpr std::uint32_t pipeline_stages = 4;

/// Wi-Fi: 5-10 MB/s up and 10-15 down, as told; the round trip is an assumption.
inline constexpr double wifi_up_least = 5e6, wifi_up_most = 10e6, wifi_down_more = 5e6, wifi_rtt_s = 0.003;

/// The device's own model draws each token's probability: below 0.6 for an unsure token, evenly in [0.1, 0.6), above
/// for a sure one, evenly in [0.6, 1); a token of probability c is right with probability c, and each runner-up in turn
/// with 0.3 of what is left. The share of sure tokens follows from the published tokens a round: with s the share, 1 +
/// (0.35 + 0.45 s) / (1 - 0.8 s).
double sure_share(double tokens_a_round);

} // namespace virga::testing
