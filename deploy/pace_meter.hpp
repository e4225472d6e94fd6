// deploy/pace_meter.hpp: measures what requests take in a running deployment, and keeps the constants of deploy/forecast.hpp.
#pragma once

#include "deploy/forecast.hpp"
#include "deploy/launched.hpp"
#include "deploy/model_parts.hpp"

#include <map>
#include <optional>

namespace virga::deploy {

/// By edge node, then by strategy.
using paces = std::map<std::string, std::map<strategy, pace>>;

/// One edge node whose gateway can be asked, and what asking it means.
struct asked_edge {
  const node_entry* node = nullptr;
  const link_entry* link = nullptr;        ///< nullptr: it has none
  std::uint16_t port = 0;                  ///< of its gateway; 0: nothing runs
  std::map<strategy, request_size> sizes;  ///< of `prompt`, for each strategy that its roles and its cloud's promise
  std::map<strategy, std::vector<token_id>> stops;  ///< what ends an answer; a measurement forbids it
};

/// @param prompt of the request that is planned
std::vector<asked_edge> edges_of(const manifest& m, model_parts& parts, const std::string& prompt);

/// The same of a running deployment: with the ports of its gateways.
std::vector<asked_edge> running_edges(const manifest& m, const run_dir& dir, model_parts& parts, const std::string& prompt);

/// 0 of nothing.
double median(std::vector<double> all);

/// What a link adds, as its manifest says.
link_quality quality_of(const link_entry& link);

/// What requests took, one entry each.
struct samples {
  std::vector<double> ttft_ms, tbt_ms;
  forecast medians() const { return {median(ttft_ms), median(tbt_ms)}; }
};

/// Asks so many times, one after the other with a pause between, and adds what it took: a processor that has slept is slower
/// at first, as it is while a request waits for its link. @throws failed when one fails
void measure(const asked_edge& edge, strategy how, const std::string& prompt, std::uint32_t requests, samples& to);

/// What the constants of one strategy are made of, measured over links that add nothing.
struct pace_samples {
  samples near, far;  ///< of the prompt, and of one of four times its length

  void measure(const asked_edge& edge, strategy how, const std::string& prompt, std::uint32_t requests);
  pace result(const request_size& size) const;
};

/// The constants of every edge. @param edges with the ports of a running deployment
paces measure_paces(const std::vector<asked_edge>& edges, const std::string& prompt,
                    const std::function<void(const std::string&)>& say);

/// The manifest with the same nodes and links that add nothing, each through a shaper that can be told what to add.
/// Lives in `file` until it has been brought up. @throws bad_manifest
manifest with_bare_links(const manifest& m, const std::filesystem::path& file);

/// Tells the shaper of an edge's link what to add from now on. @throws failed
void shape_link(const manifest& m, const run_dir& dir, const link_entry& link, const link_quality& added);

/// Round trip of a running deployment's links as their heartbeats measure it, mean over the links. 0: none is up.
double measured_rtt_ms(const manifest& m, const run_dir& dir);

/// Kept beside the deployment's logs, valid as long as its nodes hold the same models.
void save_paces(const manifest& m, model_parts& parts, const paces& all);
/// Nothing when none were saved, or for other models.
std::optional<paces> load_paces(const manifest& m, model_parts& parts);

} // namespace virga::deploy
