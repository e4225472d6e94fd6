// hat_replay: whether the simulation of tests/sim/profile says what a real deployment does. It takes rows of `virga bench systems
// --system hat --only rows --json`: constants from one file, and the points to be met from another. Nothing of a point is used but
// its RTT and its number of devices.
//
//   step costs    of this machine's shard: base + rows x slope, each stage, times one factor: that of split's compute
//   path          what split's TBT has beside link and compute: a share of the round trip, software included
//   first token   what split's TTFT has beside what is simulated: the client's HTTP
//   drafts        tokens a round and acceptance of hat: see testbed_of
#include "models/make_shard.hpp"
#include "tests/sim/profile/figures.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include <cmath>
#include <fstream>
#include <iostream>
#include <sstream>

namespace {

using namespace virga;
using namespace virga::testing;
namespace json = boost::json;
using models::stage_kind;

constexpr std::uint32_t layers = 4, hidden = 160, most_drafted = 6, blocks = 12;
constexpr double unsure_mean = 0.35;  // of the probability of an unsure token, as in paper.hpp

// -- what was measured -------------------------------------------------------------------------------------------------

struct row {
  std::string strategy;
  std::uint32_t devices = 1;
  double rtt_ms = 0, link_rtt_ms = 0, ttft_ms = 0, tbt_ms = 0, compute_ms = 0, tokens = 0, accept_length = 0, acceptance = 0;
};

std::vector<row> read(const std::string& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  std::vector<row> out;
  const auto all = json::parse(text.str());
  for (auto& v : all.at("rows").as_array()) {
    auto& o = v.as_object();
    auto number = [&](const char* key) { return o.contains(key) ? o.at(key).to_number<double>() : 0; };
    out.push_back({std::string(o.at("strategy").as_string()), static_cast<std::uint32_t>(number("devices")), number("rtt_ms"),
                   number("link_rtt_ms"), number("ttft_ms"), number("tbt_ms"), number("compute_ms"),
                   number("tokens") / number("requests"), number("accept_length"), number("acceptance")});
  }
  return out;
}

const row& find(const std::vector<row>& rows, const std::string& strategy) {
  auto it = std::ranges::find(rows, strategy, &row::strategy);
  if (it == rows.end())
    throw std::runtime_error("no row of " + strategy);
  return *it;
}

// -- step costs --------------------------------------------------------------------------------------------------------

/// Median seconds of a step of so many rows behind a short prompt.
double step_s(models::shard& shard, std::uint32_t stage, std::uint32_t rows) {
  constexpr std::uint64_t behind = 40;
  auto seq = shard.open();
  auto segment = [&](std::uint64_t base, std::uint32_t count) {
    models::segment s;
    s.seq = seq;
    s.first_stage = s.last_stage = stage;
    s.base = base;
    auto& what = shard.info().stages[stage];
    if (what.kind == stage_kind::embedding) {
      s.tokens.assign(count, 7);
      s.last_stage = stage + 1;
    } else {
      s.rows = {dtype::f32, count, hidden, byte_buffer(std::size_t{count} * hidden * sizeof(float))};
    }
    s.want.rows = what.kind == stage_kind::head ? rows_wanted::none : rows_wanted::all;
    s.want.tokens = what.kind == stage_kind::head ? rows_wanted::all : rows_wanted::none;
    return s;
  };
  auto prompt = segment(0, behind);
  shard.step(std::span{&prompt, 1});
  std::vector<double> took;
  for (int i = 0; i < 300; ++i) {
    auto s = segment(behind, rows);
    auto begun = std::chrono::steady_clock::now();
    shard.step(std::span{&s, 1});
    took.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
    shard.truncate(seq, behind);
  }
  shard.close(seq);
  std::ranges::nth_element(took, took.begin() + 150);
  return took[150];
}

stage_cost cost_of(models::shard& shard, std::uint32_t stage) {
  auto one = step_s(shard, stage, 1), eight = step_s(shard, stage, 8);
  auto slope = std::max(0.0, (eight - one) / 7);
  return {one - slope, 0, slope, 0};
}

testbed step_costs(const std::string& model, const std::string& adapter) {
  models::hf::model_folder folder{model};
  models::shard_options o;
  o.stages = {{stage_kind::layers, 1, layers}};
  auto middle = models::make_torch_shard(folder, o);
  o.stages = {{stage_kind::embedding}, {stage_kind::layers, 0, 1}, {stage_kind::head}};
  o.adapter = std::make_shared<models::hf::adapter_folder>(adapter);
  auto device = models::make_torch_shard(folder, o);
  testbed bed;
  bed.cloud = cost_of(*middle, 0);
  bed.device = {{}, cost_of(*device, 0), cost_of(*device, 2), cost_of(*device, 3)};
  return bed;
}

// -- constants ---------------------------------------------------------------------------------------------------------

/// Drafts end at the first unsure token: of s sure ones in a row drafts have 1 + s + ... + s^5 tokens, and with c the probability that
/// a sure one stands, (s c + (1 - s) 0.35) (1 + s c + ... + (s c)^5) of them do.
void set_drafts(testbed& bed, const row& hat) {
  auto sum = [](double x) { return std::abs(x - 1) < 1e-9 ? most_drafted : (1 - std::pow(x, most_drafted)) / (1 - x); };
  auto solve = [](auto f, double low, double high) {
    for (int i = 0; i < 60; ++i)
      (f((low + high) / 2) < 0 ? low : high) = (low + high) / 2;
    return low;
  };
  auto accepted = hat.accept_length - 1, drafted = accepted / hat.acceptance;
  auto s = bed.sure_share = solve([&](double x) { return sum(x) - drafted; }, 0.0, 1.0);
  auto c = solve([&](double x) { return (s * x + (1 - s) * unsure_mean) * sum(s * x) - accepted; }, 0.8, 1.0);
  bed.sure_least = 2 * c - 1;
}

figures simulate(const testbed& bed, const row& at, double rtt_s) {
  world_options o;
  o.profile.name = "testbed";
  o.profile.model = {layers, 1, 2.0 * hidden, 432};
  o.how = at.strategy == "hat" ? method::hat : method::u_shape;
  o.devices = at.devices;
  o.answer_tokens = static_cast<std::uint32_t>(std::lround(at.tokens));
  o.bed = bed;
  o.bed->rtt_s = rtt_s;
  o.blocks = blocks;
  world w{o};
  w.run_all();
  auto f = figures_of(w);
  for (auto& why : complaints(w))
    std::cerr << why << "\n";
  return f;
}

std::string percent(double real, double simulated) {
  std::ostringstream out;
  out << std::showpos << std::lround(100 * (simulated / real - 1)) << " %";
  return out.str();
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Whether the simulation says what a real deployment does"};
  std::string constants, points, model = "models/zoo/cloud", adapter = "models/zoo/adapters/cloud-1";
  app.add_option("--constants", constants, "JSON of one setting")->required();
  app.add_option("--points", points, "JSON of the settings to be met")->required();
  std::uint32_t cores = 2;
  app.add_option("--cores", cores, "that all engines share: those of the machine that was measured, or to see what more would do")
    ->capture_default_str();
  app.add_option("--model", model)->capture_default_str();
  app.add_option("--adapter", adapter)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::warn);
  auto measured = read(constants);
  auto split = find(measured, "split"), hat = find(measured, "hat");
  auto bed = step_costs(model, adapter);
  bed.cores = cores;
  auto factor = split.compute_ms / 1e3 / (bed.device[1].of(1) + bed.cloud.of(1) + bed.device[3].of(1));
  for (auto* c : {&bed.cloud, &bed.device[1], &bed.device[2], &bed.device[3]}) {
    c->base_s *= factor;
    c->row_s *= factor;
  }
  set_drafts(bed, hat);
  auto added_s = (split.link_rtt_ms - split.rtt_ms) / 1e3;
  auto bare = simulate(bed, split, split.link_rtt_ms / 1e3);
  added_s += (split.tbt_ms - bare.tbt) / 1e3;
  auto known = simulate(bed, split, split.rtt_ms / 1e3 + added_s);
  auto first_ms = split.ttft_ms - known.ttft;
  std::cout << "steps of 1 row, ms: cloud " << 1e3 * bed.cloud.of(1) << ", first layers " << 1e3 * bed.device[1].of(1) << ", adapter "
            << 1e3 * bed.device[2].of(1) << ", head " << 1e3 * bed.device[3].of(1) << "; factor " << factor << "\nround trip: RTT + "
            << 1e3 * added_s << " ms; first token: " << first_ms << " ms more; sure " << bed.sure_share << ", of at least " << bed.sure_least
            << "\n\n| RTT | devices | strategy | TTFT real | simulated | | TBT real | simulated | | tokens a round real | simulated |\n"
            << "|---|---|---|---|---|---|---|---|---|---|---|\n";
  bool wrong = false;
  for (auto& at : read(points)) {
    if (at.strategy == "cloud")
      continue;
    auto asked = at;
    asked.tokens = split.tokens;
    auto f = simulate(bed, asked, at.rtt_ms / 1e3 + added_s);
    wrong = wrong || f.wrong > 0;
    std::cout << "| " << at.rtt_ms << " | " << at.devices << " | " << at.strategy << " | " << at.ttft_ms << " | " << f.ttft + first_ms << " | "
              << percent(at.ttft_ms, f.ttft + first_ms) << " | " << at.tbt_ms << " | " << f.tbt << " | " << percent(at.tbt_ms, f.tbt)
              << " | " << at.accept_length << " | " << f.tokens_a_round << " |\n";
  }
  return wrong ? 1 : 0;
}
