// deploy/bench/hat_bench.hpp: `virga bench systems --system hat`: hat against every split baseline, over shaped links
// between real processes. Strategies take turns question by question, so that a machine that changes its pace does so
// for all.
//
// A row counts only when its texts are identical to those of split (and of cloud, where it runs); a setting is void
// when split is slower than 1.15 x (RTT + compute): then something else than the link was measured.
#pragma once

#include <boost/json/object.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace virga::deploy {

struct hat_options {
  std::filesystem::path model = "models/zoo/cloud", adapters = "models/zoo/adapters";
  std::uint32_t split = 1;
  std::vector<std::uint32_t> devices{1, 2, 8};
  std::vector<double> rtts_ms{5, 20, 50, 100};
  std::uint32_t questions = 24;  ///< of each setting, over all devices; at least one a device
  std::string only;              ///< parts whose name contains this: rows, long, controls, wire, losing
};

/// @returns {"rows": [...], "long": [...], "controls": [...], "wire": [...], "losing": [...], "summary":
/// {"tbt_reduction", ...}}; a row is
///   {"model", "devices", "rtt_ms", "strategy", "ttft_ms", "tbt_ms", "accept_length", "fact_acceptance", "tokens_per_s", "bytes_up",
///   "bytes_down", "identical", ...}
/// @throws failed, bad_input
boost::json::object bench_hat(const hat_options& options, const std::function<void(const std::string&)>& say);

} // namespace virga::deploy
