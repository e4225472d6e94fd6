#include "deploy/bench/plan_bench.hpp"

#include "deploy/failures.hpp"
#include "deploy/pace_meter.hpp"
#include "deploy/table.hpp"

#include <boost/json.hpp>

namespace virga::deploy {
namespace {

namespace json = boost::json;

constexpr std::uint32_t tokens = 24, requests = 9;  // the median of nine

/// None of them is the one that the constants are measured at.
constexpr link_quality settings[] = {{10, 0, 100, 100}, {40, 0, 20, 50}, {100, 10, 5, 10}, {200, 0, 1, 2}};

std::string text(const link_quality& q) {
  return fixed(q.rtt_ms, 0) + " ms" + (q.jitter_ms == 0 ? "" : " +" + fixed(q.jitter_ms, 0)) + ", " + fixed(q.up_mbit, 0) + "/"
         + fixed(q.down_mbit, 0) + " Mbit/s";
}

json::object row(const asked_edge& e, strategy how, const char* what, const link_quality& link, double said, double took) {
  const auto ratio = took / said;
  return {{"edge", e.node->name.value}, {"strategy", to_string(how)}, {"what", what},  {"link", text(link)},
          {"forecast_ms", said},        {"measured_ms", took},        {"value", ratio}, {"goal", 1.2},
          {"reached", ratio >= 0.8 && ratio <= 1.2}};
}

asked_edge first_edge(const manifest& m, model_parts& parts, const std::string& prompt, const run_dir& dir) {
  for (auto& e : running_edges(m, dir, parts, prompt))
    if (e.link && e.port != 0)
      return e;
  throw bad_input("no edge node of " + m.file.string() + " has a `gateway` and a link: there is nothing to compare");
}

} // namespace

json::object bench_plan(const manifest& m, const std::string& prompt, const std::function<void(const std::string&)>& say) {
  const auto bare = with_bare_links(m, log_dir(m.deployment) / "plan.yaml");
  const launched deployment(bare, say);
  model_parts parts;
  const auto edge = first_edge(bare, parts, prompt, deployment.dir);
  const auto constants = measure_paces({edge}, prompt, say).at(edge.node->name.value);
  json::array rows;
  for (const auto& link : settings) {
    shape_link(bare, deployment.dir, *edge.link, link);
    say("asking over " + text(link));
    for (const auto& [how, size] : edge.sizes) {
      const auto said = forecast_of(how, constants.at(how), crossing_of(how, size), link, size.prompt_tokens);
      const auto took = measure(edge, how, prompt, tokens, requests);
      rows.push_back(row(edge, how, "TTFT", link, said.ttft_ms, took.ttft_ms));
      rows.push_back(row(edge, how, "TBT", link, said.tbt_ms, took.tbt_ms));
    }
  }
  return {{"rows", std::move(rows)}};
}

} // namespace virga::deploy
