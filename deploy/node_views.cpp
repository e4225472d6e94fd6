// Looking at a running deployment: the keeper's file, the port files, and each node's own HTTP.
#include "deploy/failures.hpp"
#include "deploy/http_client.hpp"
#include "deploy/lifecycle.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace virga::deploy {
namespace {

namespace json = boost::json;

std::uint16_t port_in(const std::filesystem::path& file) {
  return static_cast<std::uint16_t>(std::strtoul(read_whole(file).c_str(), nullptr, 10));
}

/// A node that does not answer is not ready; why is the reason.
void ask(node_view& n, std::chrono::milliseconds limit) {
  http_request r;
  r.port = n.admin_port;
  r.path = "/status";
  try {
    n.status = http_call(r, limit).body;
    auto s = json::parse(n.status);
    n.ready = s.at("ready").as_bool();
    n.reason = s.at("reason").as_string().c_str();
    for (const auto& name : s.at("strategies").as_array())
      n.strategies.emplace_back(name.as_string().c_str());
    for (const auto& other : s.at("neighbours").as_array()) {
      if (other.at("up").as_bool())
        continue;
      n.away.emplace_back(other.at("node").as_string().c_str());
      if (n.reason.empty())
        n.reason = other.at("reason").as_string().c_str();
    }
  } catch (const std::exception& e) {
    n.ready = false;
    n.reason = e.what();
  }
}

std::string why_silent(const kept_node& kept) {
  if (kept.state.empty())
    return "not started";
  return kept.state == "running" ? "it loads" : kept.state + (kept.reason.empty() ? "" : ": " + kept.reason);
}

bool offers(const node_view& n, strategy s) {
  return std::find(n.strategies.begin(), n.strategies.end(), to_string(s)) != n.strategies.end();
}

} // namespace

std::vector<node_view> look_at(const manifest& m, const run_dir& dir, std::chrono::milliseconds limit) {
  auto kept = read_keeper_state(dir);
  std::vector<node_view> all;
  for (const auto& entry : m.nodes) {
    auto known = kept.find(entry.name.value);
    if (known == kept.end())
      continue;  // of another machine
    node_view n;
    n.entry = &entry;
    n.kept = known->second;
    n.admin_port = port_in(dir.node(entry.name.value) / "admin.port");
    n.api_port = port_in(dir.node(entry.name.value) / "api.port");
    if (n.kept.state == "running" && n.admin_port != 0)
      ask(n, limit);
    else
      n.reason = why_silent(n.kept);
    all.push_back(std::move(n));
  }
  return all;
}

bool is_complete(const manifest& m, const node_view& n) {
  if (!n.ready)
    return false;
  auto has = [](const node_entry& e, role kind) {
    return std::any_of(e.roles.begin(), e.roles.end(), [&](const role_entry& r) { return r.kind == kind; });
  };
  for (const auto& name : m.dials(*n.entry))
    if (m.find(name)->machine == n.entry->machine && std::find(n.away.begin(), n.away.end(), name) != n.away.end())
      return false;
  for (const auto& l : m.links) {
    const auto* cloud = l.from.value == n.entry->name.value ? m.find(l.to.value) : nullptr;
    if (!cloud || cloud->machine != n.entry->machine)
      continue;  // another machine may start later
    for (const auto& r : n.entry->roles)
      if (r.kind == role::drafter && has(*cloud, role::verifier) && !offers(n, r.serves))
        return false;
    if (has(*cloud, role::generator) && !offers(n, strategy::cloud))
      return false;
  }
  return true;
}

} // namespace virga::deploy
