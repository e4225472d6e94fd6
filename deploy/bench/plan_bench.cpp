#include "deploy/bench/plan_bench.hpp"

#include "deploy/failures.hpp"
#include "deploy/pace_meter.hpp"
#include "deploy/table.hpp"

#include <boost/json.hpp>

#include <array>
#include <map>

namespace virga::deploy {
namespace {

namespace json = boost::json;

constexpr std::uint32_t rounds = 3, requests = 7;  // of each strategy and setting, in each round

/// None of them is the one that the constants are measured at.
constexpr std::array<link_quality, 4> settings{{{10, 0, 100, 100}, {40, 0, 20, 50}, {100, 10, 5, 10}, {200, 0, 1, 2}}};

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
  std::map<strategy, pace_samples> constants;
  std::array<std::map<strategy, samples>, settings.size()> taken;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    shape_link(bare, deployment.dir, *edge.link, {});
    say("asking over a bare link");
    for (const auto& [how, size] : edge.sizes)
      constants[how].measure(edge, how, prompt, requests);
    for (std::size_t i = 0; i < settings.size(); ++i) {
      shape_link(bare, deployment.dir, *edge.link, settings[i]);
      say("asking over " + text(settings[i]));
      for (const auto& [how, size] : edge.sizes)
        measure(edge, how, prompt, requests, taken[i][how]);
    }
  }
  json::array rows;
  for (std::size_t i = 0; i < settings.size(); ++i)
    for (const auto& [how, size] : edge.sizes) {
      const auto said = forecast_of(how, constants[how].result(size), crossing_of(how, size), settings[i], size);
      const auto took = taken[i][how].medians();
      rows.push_back(row(edge, how, "TTFT", settings[i], said.ttft_ms, took.ttft_ms));
      rows.push_back(row(edge, how, "TBT", settings[i], said.tbt_ms, took.tbt_ms));
    }
  return {{"rows", std::move(rows)}};
}

} // namespace virga::deploy
