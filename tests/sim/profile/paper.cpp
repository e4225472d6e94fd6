#include "tests/sim/profile/paper.hpp"

namespace virga::testing {

namespace {

constexpr double of_bandwidth = 0.8, of_flops = 0.5;

} // namespace

stage_cost cost_of(const hardware& on, double parameters, double kv_layers, const decoder_model& m) {
  auto bytes_per_s = on.bytes_per_s * of_bandwidth;
  return {0, 2 * parameters / bytes_per_s, 2 * parameters / (on.flops * of_flops), kv_layers * m.kv_bytes() / bytes_per_s};
}

double sure_share(double tokens_a_round) {
  auto accepted = tokens_a_round - 1;
  return (accepted - 0.35) / (0.45 + 0.8 * accepted);
}

const char* name_of(method m) {
  constexpr const char* names[method_count]{"U-shape", "U-Sarathi", "+ chunking", "+ speculation", "+ both", "HAT", "HAT, ahead"};
  return names[static_cast<std::size_t>(m)];
}

/// No log-normal has SpecBench's mean and percentile: two thirds of its questions are short, a third (summaries,
/// retrieval) is long. The paper's rows are U-shape, U-Sarathi, then the ablation: chunking, speculation, both, and
/// with parallel drafting.
const std::vector<paper_profile>& paper_profiles() {
  static const std::vector<paper_profile> all{
    {"SpecBench, Vicuna-7B", vicuna_7b, {{2.0 / 3, 120, 0.5}, {1.0 / 3, 813.6, 0.219}}, 6, 2.06, 6.8,
     {{655.6, 52.3}, {609.2, 0}, {384.0, 39.4}, {655.3, 38.3}, {384.3, 30.6}, {384.2, 26.4}, {0, 0}}},
    {"CNN/DM, Vicuna-13B", vicuna_13b, {{1, 1036.6, 0.526}}, 4, 1.98, 12.4,
     {{1989.0, 128.1}, {1750.6, 0}, {1038.7, 74.2}, {0, 0}, {1039.1, 49.3}, {1039.9, 43.5}, {0, 0}}}};
  return all;
}

} // namespace virga::testing
