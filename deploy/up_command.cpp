#include "deploy/commands.hpp"
#include "deploy/lifecycle.hpp"
#include "deploy/plan.hpp"
#include "deploy/table.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

namespace virga::deploy {
namespace {

struct options {
  std::string manifest, machine;
  int limit_s = 60;
};

std::string address_of(const node_view& n) {
  return n.api_port == 0 ? "-" : "http://" + n.entry->gateway->host + ":" + std::to_string(n.api_port) + "/v1";
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& w : words)
    all += (all.empty() ? "" : ", ") + w;
  return all;
}

void up(const options& o) {
  auto m = load_checked(o.manifest, o.machine);
  auto result = bring_up(m, o.machine, std::chrono::seconds(o.limit_s),
                         [](const std::string& line) { std::cerr << "[up] " << line << std::endl; });
  std::cout << m.deployment << (result == up_result::started ? " runs" : " runs already") << "; logs in "
            << log_dir(m.deployment).string() << "\n";
  std::vector<std::vector<std::string>> rows{{"node", "kind", "pid", "OpenAI API", "strategies"}};
  for (const auto& n : look_at(m, run_dir_of(m.deployment), std::chrono::seconds(2)))
    rows.push_back({n.entry->name.value, n.entry->kind == node_kind::cloud ? "cloud" : "edge", std::to_string(n.kept.pid),
                    address_of(n), joined(n.strategies)});
  print_table(std::cout, rows);
}

} // namespace

void add_up_command(CLI::App& app) {
  auto* command = app.add_subcommand("up", "Start every node of a manifest on this machine, one process each; safe to repeat");
  auto o = std::make_shared<options>();
  command->add_option("manifest", o->manifest, "The manifest, e.g. deploy/manifests/demo.yaml")->required();
  command->add_option("--machine", o->machine, "Start the nodes with this `machine:` only");
  command->add_option("--timeout", o->limit_s, "Seconds until all nodes must be ready")->check(CLI::Range(1, 3600));
  command->callback([o] { up(*o); });
}

} // namespace virga::deploy
