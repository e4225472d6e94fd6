#include "tests/sim/deployment.hpp"

#include "actors/node/node_state.hpp"
#include "tests/support/toy_tokenizer.hpp"

#include <caf/actor_cast.hpp>

#include <charconv>

namespace virga::testing {

using models::stage;
using models::stage_kind;

namespace {

constexpr auto cloud_name = "cloud";

/// "heliotrope-12 heliotrope-7": the number is the token.
struct number_tokenizer final : toy_tokenizer {
  std::vector<token_id> encode(std::string_view text, const models::encode_options&) const override {
    std::vector<token_id> out;
    for (std::size_t at = text.find('-'); at != std::string_view::npos; at = text.find('-', at + 1)) {
      token_id id = 0;
      std::from_chars(text.data() + at + 1, text.data() + text.size(), id);
      out.push_back(id);
    }
    return out;
  }
  std::string text_of(token_id id, bool first) const override {
    return std::string{first ? "" : " "} + sim_models::canary + std::to_string(id);
  }
};

std::shared_ptr<const models::hf::model_folder> fixture(const std::string& name) {
  return std::make_shared<models::hf::model_folder>(std::filesystem::path{VIRGA_SOURCE_DIR} / "tests/parity/fixtures"
                                                    / name);
}

std::vector<stage> device_stages() {
  return {{stage_kind::embedding}, {stage_kind::layers, 0, sim_models::cut}, {stage_kind::head}};
}

std::vector<stage> middle_stages(const models::hf::model_folder& folder) {
  return {{stage_kind::layers, sim_models::cut, folder.config().num_hidden_layers}};
}

} // namespace

// -- models ------------------------------------------------------------------------------------------------------------

sim_models::sim_models()
  : cloud(fixture("gqa-untied")), edge(fixture("mha-tied")), tok(std::make_shared<number_tokenizer>()) {}

std::vector<token_id> sim_models::expected(const request_record& r) const {
  bool small = r.how == strategy::edge;
  auto& known = known_[{small, r.prompt}];
  constexpr std::uint32_t longest = 48;
  if (known.empty()) {
    auto shard = models::make_reference_shard(small ? *edge : *cloud, {});
    models::segment s;
    s.seq = shard->open();
    s.last_stage = 2;
    s.want.tokens = rows_wanted::last;
    s.tokens = r.prompt;
    while (known.size() < longest) {
      auto id = shard->step(std::span{&s, 1})[0].choices[0].id;
      known.push_back(id);
      if (id == 2)
        break;
      s.base += s.tokens.size();
      s.tokens = {id};
    }
  }
  std::vector<token_id> out;
  for (auto id : known) {
    if (id == 2 || out.size() == r.max_tokens)
      break;
    out.push_back(id);
  }
  return out;
}

// -- configuration -----------------------------------------------------------------------------------------------------

engine_config deployment::engine_of(const std::string& name, std::shared_ptr<const models::hf::model_folder> folder,
                                    std::vector<stage> stages) const {
  engine_config c;
  c.name = name;
  c.detached = false;
  c.planted = planted_;
  c.make = [folder, stages] {
    models::shard_options o;
    o.stages = stages;
    return models::make_reference_shard(*folder, o);
  };
  c.charge = [](std::uint64_t rows) { return std::chrono::microseconds(1500 + 100 * rows); };
  return c;
}

role_config deployment::role_of(role kind, strategy how, const std::string& engine) const {
  auto& folder = how == strategy::edge ? *models_.edge : *models_.cloud;
  role_config r;
  r.kind = kind;
  r.serves = how;
  r.engine = engine;
  r.view.tok = models_.tok;
  r.view.stop = {2};
  r.view.context = folder.config().max_position_embeddings;
  r.model_digest = folder.digest();
  r.first_layer = sim_models::cut;
  r.last_layer = folder.config().num_hidden_layers;
  r.hidden = folder.config().hidden_size;
  r.stage_count = kind == role::verifier ? 1 : 3;
  r.planted = planted_;
  return r;
}

node_config deployment::cloud_config() const {
  node_config c;
  c.name = cloud_name;
  c.site = "cloud-site";
  c.kind = node_kind::cloud;
  c.engines = {engine_of("whole", models_.cloud, {}), engine_of("middle", models_.cloud, middle_stages(*models_.cloud))};
  c.roles = {role_of(role::generator, strategy::cloud, "whole"), role_of(role::verifier, strategy::split, "middle")};
  for (auto& e : edges) {
    link_config l;
    l.peer_site = e + "-site";
    l.peer_node = e;
    l.dial = false;
    l.planted = planted_;
    c.links.push_back(l);
  }
  return c;
}

node_config deployment::edge_config(const std::string& name) const {
  node_config c;
  c.name = name;
  c.site = name + "-site";
  c.engines = {engine_of("small", models_.edge, {}), engine_of("device", models_.cloud, device_stages())};
  c.roles = {role_of(role::generator, strategy::edge, "small"), role_of(role::drafter, strategy::split, "device")};
  link_config l;
  l.peer_site = "cloud-site";
  l.peer_node = cloud_name;
  l.planted = planted_;
  c.links = {l};
  return c;
}

node_config deployment::config_of(const std::string& name) const {
  auto c = name == cloud_name ? cloud_config() : edge_config(name);
  c.deployment = "simulation";
  c.sessions.planted = planted_;
  c.restarts = {100, std::chrono::seconds(30)};
  return c;
}

// -- life --------------------------------------------------------------------------------------------------------------

deployment::deployment(const sim_models& models, std::uint64_t seed, planted_bug planted)
  : random(seed), models_(models), planted_(planted) {
  for (auto& e : edges) {
    pipe_shape shape;
    shape.delay = std::chrono::microseconds(500 + random() % 30'000);
    shape.jitter = std::chrono::microseconds(random() % 5'000);
    shape.bytes_per_s = random() % 3 == 0 ? 0 : 50'000 + random() % 5'000'000;
    pipes_[e] = std::make_shared<sim_pipe>(sys, e, cloud_name, shape, random());
  }
  start_node(cloud_name);
  for (auto& e : edges)
    start_node(e);
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
    if (nodes_.size() != edges.size() + 1 || !status(cloud_name).ready)
      return false;
    return std::all_of(edges.begin(), edges.end(), [this](auto& e) { return status(e).strategies.size() == 3; });
  };
  while (!all_serve()) {
    if (now() >= until)
      return false;
    run_until(now() + std::chrono::milliseconds(20));
  }
  return true;
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

// -- faults ------------------------------------------------------------------------------------------------------------

namespace {

const std::set<strategy> over_the_link{strategy::cloud, strategy::split};
const std::set<strategy> all_strategies{strategy::cloud, strategy::edge, strategy::split};

/// Who cannot go on without this role of this node.
std::set<strategy> users_of(const std::string& node, const std::string& role) {
  if (role == "session host")
    return node == cloud_name ? std::set{strategy::cloud} : std::set{strategy::edge, strategy::split};
  if (role == "generator cloud" || role == "engine whole")
    return {strategy::cloud};
  if (role == "generator edge" || role == "engine small")
    return {strategy::edge};
  return {strategy::split};
}

} // namespace

/// Writes down whom a fault strikes: the requests in flight of these strategies that entered at `entry` (any, if empty).
void deployment::note(std::string kind, const std::string& entry, const std::set<strategy>& needed_by) {
  fault_record f{std::move(kind), now(), {}};
  for (auto& [number, r] : seen.requests)
    if ((entry.empty() || r.entry == entry) && needed_by.count(r.how) != 0 && r.current() != phase::ended)
      f.struck.emplace_back(number, r.current());
  seen.faults.push_back(std::move(f));
}

void deployment::crash_node(const std::string& name) {
  auto it = nodes_.find(name);
  if (it == nodes_.end())
    return;
  note("kill node of " + name, name == cloud_name ? "" : name, name == cloud_name ? over_the_link : all_strategies);
  caf::anon_send_exit(it->second, caf::exit_reason::kill);
  nodes_.erase(it);
  for (auto& [number, r] : seen.requests)
    if (r.entry == name && r.current() != phase::ended)
      r.entry_died = true;
}

void deployment::crash_role(const std::string& node, const std::string& role) {
  auto it = nodes_.find(node);
  if (it == nodes_.end())
    return;
  using instance = caf::stateful_actor<node_state, node_actor::base>;
  auto* actor = dynamic_cast<instance*>(caf::actor_cast<caf::abstract_actor*>(it->second));
  if (actor == nullptr)
    return;
  if (auto victim = actor->state.find(role)) {
    note("crash " + role + " of " + node, node == cloud_name ? "" : node, users_of(node, role));
    caf::anon_send_exit(victim, caf::exit_reason::kill);
  }
}

void deployment::cut_link(const std::string& edge) {
  note("cut link of " + edge, edge, over_the_link);
  pipes_.at(edge)->cut("the connection was reset");
}

void deployment::stall_link(const std::string& edge, caf::timespan how_long) {
  note("stall link of " + edge, edge, over_the_link);
  pipes_.at(edge)->stall(how_long);
}

void deployment::slow_link(const std::string& edge, std::uint64_t bytes_per_s) {
  note("slow link of " + edge, edge, over_the_link);
  pipe_shape shape;
  shape.delay = std::chrono::milliseconds(40);
  shape.bytes_per_s = bytes_per_s;
  pipes_.at(edge)->reshape(shape);
}

void deployment::repeat_messages(const std::string& edge) {
  note("repeat messages on link of " + edge, edge, over_the_link);
  pipes_.at(edge)->repeat(20);
}

} // namespace virga::testing
