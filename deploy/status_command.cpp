#include "deploy/commands.hpp"
#include "deploy/lifecycle.hpp"
#include "deploy/table.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <csignal>
#include <iostream>
#include <thread>

namespace virga::deploy {
namespace {

namespace json = boost::json;

struct options {
  std::string manifest;
  bool as_json = false, watch = false;
};

volatile std::sig_atomic_t asked_to_stop = 0;

json::object to_json(const node_view& n) {
  json::error_code ignored;
  return {{"name", n.entry->name.value}, {"process", n.kept.state}, {"pid", n.kept.pid}, {"process_restarts", n.kept.restarts},
          {"admin_port", n.admin_port}, {"api_port", n.api_port}, {"ready", n.ready}, {"reason", n.reason},
          {"status", n.status.empty() ? json::value(nullptr) : json::parse(n.status, ignored)}};
}

std::string links_of(const node_view& n) {
  if (n.status.empty())
    return "-";
  std::string text;
  const auto status = json::parse(n.status);
  auto name = [&](const json::value& p) { text += (text.empty() ? "" : ", ") + std::string(p.at("node").as_string().c_str()); };
  for (const auto& p : status.at("peers").as_array()) {
    name(p);
    text += p.at("up").as_bool() ? " " + fixed(p.at("rtt_ms").to_number<double>(), 1) + " ms" : " down";
  }
  for (const auto& other : status.at("neighbours").as_array()) {
    name(other);
    text += other.at("up").as_bool() ? "" : " down";
  }
  return text.empty() ? "-" : text;
}

std::string strategies_of(const node_view& n) {
  std::string text;
  for (const auto& s : n.strategies)
    text += (text.empty() ? "" : " ") + s;
  return text.empty() ? "-" : text;
}

/// "3 roles, 1 restart"
std::string roles_of(const node_view& n) {
  if (n.status.empty())
    return "-";
  std::size_t running = 0;
  std::int64_t restarts = 0;
  const auto status = json::parse(n.status);
  const auto& roles = status.at("roles").as_array();
  for (const auto& r : roles) {
    running += r.at("running").as_bool();
    restarts += r.at("restarts").to_number<std::int64_t>();
  }
  return std::to_string(running) + "/" + std::to_string(roles.size()) + (restarts == 0 ? "" : ", " + std::to_string(restarts) + " restarted");
}

/// As the manifest declares it.
void show_supervision(const manifest& m) {
  auto seconds = [](caf::timespan t) { return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(t).count()); };
  std::cout << "supervision: a role may crash " << m.restarts.max_restarts << " times within " << seconds(m.restarts.within)
            << " s, then its node ends and the keeper starts it again; draining takes at most " << m.drain_s << " s\n";
}

/// @returns whether every node is complete
bool show(const manifest& m, const std::vector<node_view>& nodes) {
  std::vector<std::vector<std::string>> rows{{"node", "state", "pid", "restarts", "roles", "admin", "api", "strategies", "links", "why"}};
  bool all = !nodes.empty();
  for (const auto& n : nodes) {
    bool complete = is_complete(m, n);
    all &= complete;
    rows.push_back({n.entry->name.value, complete ? "ready" : n.ready ? "partly" : n.kept.state == "running" ? "not ready" : n.kept.state,
                    std::to_string(n.kept.pid), std::to_string(n.kept.restarts), roles_of(n), std::to_string(n.admin_port),
                    n.api_port == 0 ? "-" : std::to_string(n.api_port), strategies_of(n), links_of(n), n.reason});
  }
  print_table(std::cout, rows);
  return all;
}

/// @returns whether every node is complete
bool print_json(const manifest& m, const std::vector<node_view>& nodes) {
  json::array list;
  bool all = true;
  for (const auto& n : nodes) {
    list.push_back(to_json(n));
    all &= is_complete(m, n);
  }
  std::cout << json::object{{"deployment", m.deployment}, {"complete", all}, {"nodes", std::move(list)}} << "\n";
  return all;
}

/// Once a second, until it is interrupted or nothing runs any more.
void watch(const manifest& m, const run_dir& dir) {
  for (int s : {SIGINT, SIGTERM})
    std::signal(s, [](int) { asked_to_stop = 1; });
  while (asked_to_stop == 0 && std::filesystem::exists(dir.keeper_state())) {
    auto nodes = look_at(m, dir, std::chrono::seconds(2));
    std::cout << "\033[H\033[2J" << m.deployment << ", every second\n";
    show(m, nodes);
    std::cout << std::flush;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

void status(const options& o) {
  auto dir = find_running(o.manifest);
  auto m = running_manifest(dir);
  if (o.watch)
    return watch(m, dir);
  auto nodes = look_at(m, dir, std::chrono::seconds(2));
  bool all = false;
  if (o.as_json) {
    all = print_json(m, nodes);
  } else {
    std::cout << m.deployment << ", logs in " << log_dir(m.deployment).string() << "\n";
    show_supervision(m);
    all = show(m, nodes);
  }
  if (!all)
    throw CLI::RuntimeError(1);
}

} // namespace

void add_status_command(CLI::App& app) {
  auto* command = app.add_subcommand("status", "What runs of a deployment; exit code 1 when something is missing");
  auto o = std::make_shared<options>();
  command->add_option("manifest", o->manifest, "Its manifest; not needed when only one deployment runs");
  auto* as_json = command->add_flag("--json", o->as_json, "For programs");
  command->add_flag("-w,--watch", o->watch, "Live, until it is interrupted")->excludes(as_json);
  command->callback([o] { status(*o); });
}

} // namespace virga::deploy
