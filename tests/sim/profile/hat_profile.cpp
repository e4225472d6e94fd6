// hat_profile: HAT's evaluation with the paper's hardware, in virtual time. See docs/systems/hat.md, "Paper profile".
#include "tests/sim/profile/report.hpp"

#include <CLI/CLI.hpp>
#include <spdlog/spdlog.h>

#include <cmath>
#include <iostream>

namespace {

using namespace virga::testing;

struct command {
  world_options world;
  std::string profile, method;  ///< part of the name; empty: all
  double load = 0.7;            ///< of each cloud, where there are more devices than the paper's
  bool json = false;
};

constexpr std::uint32_t paper_devices = 30;

/// Beyond the paper's devices each comes with its share of requests, and with as many clouds as keep the load.
void scale(command& c) {
  auto& o = c.world;
  if (o.requests_per_s == 0)
    o.requests_per_s = o.profile.requests_per_s * o.devices / paper_devices;
  if (o.clouds == 0)
    o.clouds =
      o.devices <= paper_devices ? 1 : static_cast<std::uint32_t>(std::ceil(o.requests_per_s / (c.load * capacity(o))));
}

run_figures measure(const world_options& o) {
  auto began = std::chrono::steady_clock::now();
  world w{o};
  w.run_all();
  run_figures r{o, figures_of(w), 0};
  for (auto& why : complaints(w))
    std::cerr << why << "\n";
  r.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return r;
}

bool chosen(const std::string& name, const std::string& part) { return name.find(part) != std::string::npos; }

std::vector<run_figures> run_profile(command c) {
  std::vector<run_figures> out;
  for (std::size_t m = 0; m < method_count; ++m) {
    auto o = c;
    o.world.how = static_cast<method>(m);
    if (!chosen(name_of(o.world.how), c.method))
      continue;
    scale(o);
    out.push_back(measure(o.world));
    std::cerr << o.world.profile.name << ", " << name_of(o.world.how) << ": " << out.back().wall_s
              << " s of this machine, " << peak_mib() << " MiB at most so far\n";
  }
  return out;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"HAT's evaluation with the paper's hardware, in virtual time"};
  command c;
  c.world.clouds = 0;
  app.add_option("--profile", c.profile, "part of its name: SpecBench or CNN; default both");
  app.add_option("--method", c.method, "part of its name, such as HAT or U-shape; default all");
  app.add_option("--devices", c.world.devices, "30 as in the paper; more bring their requests and clouds with them");
  app.add_option("--clouds", c.world.clouds,
                 "of 4 stages each; default: 1, and beyond 30 devices as many as --load needs");
  app.add_option("--load", c.load, "rows/s of a cloud's busiest stage over what it can do in batches of 512");
  app.add_option("--rate", c.world.requests_per_s, "requests/s of all devices; default: the paper's for 30 devices");
  app.add_option("--seconds", c.world.measured_s, "of virtual time in which requests come and count");
  app.add_option("--warm", c.world.warm_s, "before that, in which they do not count");
  app.add_option("--tokens", c.world.answer_tokens, "of each answer");
  app.add_option("--seed", c.world.seed);
  app.add_flag("--json", c.json);
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::warn);
  std::vector<run_figures> all;
  for (auto& p : paper_profiles()) {
    if (!chosen(p.name, c.profile))
      continue;
    c.world.profile = p;
    auto runs = run_profile(c);
    if (!c.json)
      print(std::cout, runs);
    all.insert(all.end(), runs.begin(), runs.end());
  }
  if (c.json)
    std::cout << as_json(all) << "\n";
  return std::ranges::all_of(all, [](auto& r) { return r.found.wrong == 0; }) ? 0 : 1;  // every text is the target's
}
