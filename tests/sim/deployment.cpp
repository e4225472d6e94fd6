#include "tests/sim/deployment.hpp"

#include "actors/node/node_state.hpp"

#include <caf/actor_cast.hpp>

#include <algorithm>

namespace virga::testing {

namespace {

constexpr auto cloud_name = "cloud";

link_config link_to(const std::string& node, const std::string& site, bool dial) {
  link_config l;
  l.peer_node = node;
  l.peer_site = site;
  l.dial = dial;
  return l;
}

/// Every part that has a switch for planted bugs.
void plant(node_config& c, planted_bug bug) {
  c.planted = c.sessions.planted = bug;
  for (auto& e : c.engines)
    e.planted = bug;
  for (auto& r : c.roles)
    r.planted = bug;
  for (auto& l : c.links)
    l.planted = bug;
}

} // namespace

/// What its roles need of engines, its workers have; they come to their own ports.
void deployment::make_front(node_config& c) const {
  c.engines.clear();
  for (auto& r : c.roles) {
    r.engine.clear();
    r.parts = {{workers, r.first_layer, r.last_layer}};
  }
  for (std::size_t i = 0; i < workers.size(); ++i)
    c.neighbours.push_back({workers[i], true, "", worker_port(workers[i])});
}

node_config deployment::config_of(const std::string& name) const {
  node_config c;
  const bool front = name == cloud_name && has_workers_, worker = std::ranges::count(workers, name) > 0;
  const bool cloud = name == cloud_name || worker;
  c.name = name;
  c.site = worker ? "cloud-site" : name + "-site";
  c.kind = cloud ? node_kind::cloud : node_kind::edge;
  c.deployment = "simulation";
  c.restarts = {100, std::chrono::seconds(30)};
  for (auto& s : sim_strategies())
    (cloud ? s.at_cloud : s.at_edge)(models_, c);
  if (front)
    make_front(c);
  if (worker) {
    c.neighbours.push_back({cloud_name, false, "", 0});
    c.site_port = worker_port(name);
  }
  if (!cloud)
    c.links = {link_to(cloud_name, "cloud-site", true)};
  for (auto& e : edges)
    if (cloud && !worker)
      c.links.push_back(link_to(e, e + "-site", false));
  plant(c, planted_);
  return c;
}

// -- life --------------------------------------------------------------------------------------------------------------

deployment::deployment(const sim_models& models, std::uint64_t seed, planted_bug planted)
  : random(seed), models_(models), planted_(planted), has_workers_(seed % 3 == 0), middleman_(sys.spawn(sim_middleman, ports_)) {
  for (auto& e : edges) {
    pipe_shape shape;
    shape.delay = std::chrono::microseconds(500 + random() % 30'000);
    shape.jitter = std::chrono::microseconds(random() % 5'000);
    shape.bytes_per_s = random() % 3 == 0 ? 0 : 50'000 + random() % 5'000'000;
    shapes_[e] = shape;
    pipes_[e] = std::make_shared<sim_pipe>(sys, e, cloud_name, shape, random());
  }
  restart_dead();
}

std::vector<std::string> deployment::names() const {
  std::vector<std::string> all{cloud_name};
  if (has_workers_)
    all.insert(all.end(), workers.begin(), workers.end());
  all.insert(all.end(), edges.begin(), edges.end());
  return all;
}

deployment::~deployment() {
  for (auto& [name, n] : nodes_)
    caf::anon_send_exit(n, caf::exit_reason::kill);
  nodes_.clear();
  clients_.clear();
  run();
}

void deployment::start_node(const std::string& name) {
  auto config = config_of(name);
  config.seed = random() | 1;
  node_parts parts;
  parts.make_transport = [this, name](const link_config& l, pipe_events events) {
    return name == cloud_name ? pipes_.at(l.peer_node)->attach(sim_pipe::acceptor, std::move(events))
                              : pipes_.at(name)->attach(sim_pipe::dialer, std::move(events));
  };
  parts.middleman = [this](caf::actor_system&) { return middleman_; };
  nodes_[name] = sys.spawn(make_node, std::move(config), std::move(parts));
}

void deployment::step_actors() {
  while (!sched.jobs.empty()) {
    auto chosen = sched.jobs.begin() + static_cast<std::ptrdiff_t>(random() % sched.jobs.size());
    auto* job = *chosen;
    sched.jobs.erase(chosen);
    sched.jobs.push_front(job);
    sched.try_run_once();
  }
}

void deployment::run_until(time_point until) {
  step_actors();
  while (sched.has_pending_timeout() && sched.clock().schedule().begin()->first <= until) {
    sched.trigger_timeout();
    step_actors();
  }
  sched.clock().current_time = std::max(now(), until);
}

bool deployment::await_ready(caf::timespan limit) {
  auto until = now() + limit;
  auto all_serve = [this] {
    if (nodes_.size() != names().size() || !status(cloud_name).ready)
      return false;
    for (auto& n : status(cloud_name).neighbours)
      if (!n.up || !status(n.node).ready)
        return false;
    return std::all_of(edges.begin(), edges.end(), [this](auto& e) { return status(e).strategies.size() == sim_strategies().size(); });
  };
  while (!all_serve()) {
    if (now() >= until)
      return false;
    run_until(now() + std::chrono::milliseconds(20));
  }
  return true;
}

void deployment::restart_dead() {
  for (auto& name : names())
    if (!alive(name))
      start_node(name);
}

std::string deployment::leftovers() {
  for (auto& [name, n] : nodes_) {
    for (auto& e : status(name).engines)
      if (e.sequences + e.waiting > 0)
        return "engine " + e.name + " of " + name + " keeps " + std::to_string(e.sequences) + " sequences";
  }
  return {};
}

node_status deployment::status(const std::string& node) {
  auto it = nodes_.find(node);
  if (it == nodes_.end())
    return {};
  auto s = sim::ask<node_status>(it->second, stats_atom::value);
  return s ? *s : node_status{};
}

// -- clients -----------------------------------------------------------------------------------------------------------

std::uint64_t deployment::ask(const client_request& r) {
  auto number = seen.requests.size() + 1;
  auto& record = seen.requests[number];
  record.number = number;
  record.how = r.how;
  record.entry = r.entry;
  record.prompt = r.prompt;
  record.max_tokens = r.max_tokens;
  record.asked = now();
  record.deadline = now() + r.deadline;
  auto it = nodes_.find(r.entry);
  if (it == nodes_.end()) {
    record.entry_died = true;  // connection refused
    return number;
  }
  auto stubs = sim::ask<node_stubs>(it->second, roles_atom::value);
  if (!stubs) {
    record.entry_died = true;
    return number;
  }
  auto& c = clients_[number];
  c.listener = sys.spawn([this, number]() -> sink::behavior_type {
    return {[this, number](answer& a) { seen.requests.at(number).on_answer(a, now()); }};
  });
  c.to = stubs->sessions;
  c.hdr = {{random(), random()}, 0, 0, 0, role::session_host, record.deadline};
  generate g;
  g.how = r.how;
  g.request_id = "sim-" + std::to_string(number);
  g.prompt = models_.tok->decode(r.prompt);
  g.max_tokens = r.max_tokens;
  caf::anon_send(c.to, call<generate>{c.hdr, std::move(g), c.listener});
  return number;
}

void deployment::cancel_request(std::uint64_t number) {
  auto it = clients_.find(number);
  if (it == clients_.end() || seen.requests.at(number).current() == phase::ended)
    return;
  seen.requests.at(number).cancelled = true;
  caf::anon_send(it->second.to, call<cancel>{it->second.hdr, {}, it->second.listener});
}

} // namespace virga::testing
