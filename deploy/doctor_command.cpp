#include "deploy/ask.hpp"
#include "deploy/commands.hpp"
#include "deploy/diagnosis.hpp"
#include "deploy/failures.hpp"
#include "deploy/http_client.hpp"
#include "deploy/lifecycle.hpp"
#include "deploy/table.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <iostream>

namespace virga::deploy {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

struct options {
  std::string manifest, prompt = "describe taylor bennett : town job pet ?", api_key;
  std::uint32_t requests = 5;
  bool as_json = false;
};

/// Some of each strategy that the node serves, so that there is something to look at.
void ask_some(const node_view& n, const options& o, diagnosis& out) {
  for (const auto& s : n.strategies)
    for (std::uint32_t i = 0; i < o.requests; ++i) {
      question q;
      q.port = n.api_port;
      q.api_key = o.api_key;
      q.strategy = s;
      q.messages = {{"user", o.prompt}};
      q.max_tokens = 48;
      try {
        ask(q);
      } catch (const std::exception& e) {
        out.findings.push_back(n.entry->name.value + " does not answer with " + s + ": " + e.what());
        break;
      }
    }
}

/// Of the gateway that clients ask, if there is one: each has its own requests.
json::value get(const node_view& n, const std::string& path, const options& o) {
  http_request r;
  r.port = n.api_port != 0 ? n.api_port : n.admin_port;
  r.path = path;
  r.api_key = o.api_key;
  const auto reply = http_call(r, 2s);
  if (reply.status != 200)
    throw failed(n.entry->name.value + " refuses " + path + ": give --api-key");
  return json::parse(reply.body);
}

diagnosis examine_all(const manifest& m, const run_dir& dir, const options& o) {
  diagnosis found;
  for (const auto& n : look_at(m, dir, 2s)) {
    if (n.admin_port == 0 || n.status.empty()) {
      found.findings.push_back(n.entry->name.value + " does not answer: " + n.reason);
      continue;
    }
    if (n.api_port != 0)
      ask_some(n, o, found);
    examine(get(n, "/status", o), get(n, "/requests", o), found);
  }
  return found;
}

json::object to_json(const diagnosis& d) {
  json::array strategies, findings;
  for (const auto& s : d.strategies)
    strategies.push_back({{"node", s.node}, {"strategy", s.strategy}, {"requests", s.requests}, {"total_ms", s.total_ms},
                          {"compute_ms", s.compute_ms}, {"link_ms", s.link_ms}, {"queue_ms", s.queue_ms}, {"software_ms", s.rest_ms},
                          {"slowest", s.slowest}, {"advice", s.advice}});
  for (const auto& f : d.findings)
    findings.emplace_back(f);
  return {{"strategies", std::move(strategies)}, {"findings", std::move(findings)}};
}

void print(const diagnosis& d) {
  std::vector<std::vector<std::string>> table{{"node", "strategy", "requests", "total ms", "compute", "link", "queue", "software", "slow is"}};
  auto part = [](const strategy_diagnosis& s, double ms) { return fixed(s.total_ms == 0 ? 0 : 100 * ms / s.total_ms, 0) + " %"; };
  for (const auto& s : d.strategies)
    table.push_back({s.node, s.strategy, std::to_string(s.requests), fixed(s.total_ms, 1), part(s, s.compute_ms), part(s, s.link_ms),
                     part(s, s.queue_ms), part(s, s.rest_ms), "the " + s.slowest});
  print_table(std::cout, table);
  for (const auto& s : d.strategies)
    std::cout << s.node << " " << s.strategy << ": " << s.advice << "\n";
  for (const auto& f : d.findings)
    std::cout << "! " << f << "\n";
  if (d.findings.empty())
    std::cout << "nothing is broken\n";
}

void doctor(const options& o) {
  const auto dir = find_running(o.manifest);
  const auto d = examine_all(running_manifest(dir), dir, o);
  o.as_json ? void(std::cout << json::serialize(to_json(d)) << "\n") : print(d);
}

} // namespace

void add_doctor_command(CLI::App& app) {
  auto* command = app.add_subcommand("doctor", "Why a running deployment is slow: compute, link or queue; and what is broken");
  auto o = std::make_shared<options>();
  command->add_option("manifest", o->manifest, "Its manifest; not needed when only one deployment runs");
  command->add_option("--requests", o->requests, "Asked first of each strategy at each gateway; 0: look at the last ones only")
    ->check(CLI::Range(0u, 1000u))->capture_default_str();
  command->add_option("--prompt", o->prompt, "Of these")->capture_default_str();
  command->add_option("--api-key", o->api_key, "Of gateways that ask for one");
  command->add_flag("--json", o->as_json, "For programs");
  command->callback([o] { doctor(*o); });
}

} // namespace virga::deploy
