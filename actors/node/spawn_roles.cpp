#include "actors/node/spawn_impl.hpp"

#include "actors/node/defaults.hpp"
#include "actors/roles/drafter.hpp"
#include "actors/roles/generator.hpp"
#include "actors/roles/verifier.hpp"
#include "messages/limits.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace virga {

namespace {

std::string layers_text(const role_config& c) {
  return "layers " + std::to_string(c.first_layer) + "-" + std::to_string(c.last_layer == 0 ? 0 : c.last_layer - 1);
}

} // namespace

void node_state::spawn_all() {
  for (const auto& e : config.engines)
    spawn_engine(e);
  remote_sessions_ = spawn_stub<session_host>(role::session_host, "session host at the peer");
  remote_verifier_ = spawn_stub<verifier>(role::verifier, "verifier at the peer");
  for (const auto& r : config.roles)
    r.parts.empty() ? spawn_role(r) : spawn_far_role(r);
  spawn_sessions();
  if (config.site_port != 0)
    open_door();
  neighbours_.resize(config.neighbours.size());
  for (std::size_t i = 0; i < config.neighbours.size(); ++i)
    add_neighbour(i);
  links_.resize(config.links.size());
  for (std::size_t i = 0; i < config.links.size(); ++i)
    add_link(i);
  for (const auto& g : config.gateways)
    if (parts.start_gateway)
      spawn_gateway(g);
}

void node_state::spawn_engine(const engine_config& c) {
  const auto name = "engine " + c.name;
  auto& e = engines_.emplace_back();
  e.name = c.name;
  e.stub = spawn_stub<engine>(role::node, name);
  e.run = &supervise<engine>(name, end_order::engines, e.stub, nullptr, [this, &e, c](std::uint64_t) {
    e.actor = c.detached ? self->spawn<caf::detached>(make_engine, c) : self->spawn(make_engine, c);
    probe(e);
    return e.actor;
  });
}

/// An engine answers when its shard is loaded; only then it counts as running.
void node_state::probe(engine_entry& e) {
  auto asked = e.actor;
  self->request(asked, node_defaults::load_patience, stats_atom::value)
    .then(
      [this, &e, asked](const engine_stats& stats) {
        if (e.actor != asked)
          return;
        e.last = stats;
        kids_->loaded(*e.run);
        spdlog::info("node {} role \"{}\" is loaded", config.name, e.run->name);
      },
      [this, &e, asked](const caf::error& why) {
        if (e.actor == asked && why == caf::sec::request_timeout)
          probe(e);
      });
}

void node_state::spawn_role(const role_config& c) {
  const auto at = std::ranges::find(engines_, c.engine, &engine_entry::name);
  if (at == engines_.end())
    throw std::runtime_error("role " + std::string(to_string(c.kind)) + " names engine \"" + c.engine
                             + "\", which this node does not have");
  auto& r = roles_.emplace_back();
  r.config = c;
  r.engine = &*at;
  const auto name = std::string(to_string(c.kind)) + " " + std::string(to_string(c.serves));
  if (c.kind == role::verifier)
    spawn_verifier(r, name);
  else if (c.kind == role::generator || c.kind == role::drafter)
    r.run = spawn_source(c, *at, name);
  else
    throw std::runtime_error("role " + name + " is none that a node can run");
}

child* node_state::spawn_source(const role_config& c, engine_entry& e, const std::string& name) {
  auto stub = spawn_stub<token_source>(c.kind, name);
  sources_.push_back({c.serves, stub, c.view, c.draft.goes_on_alone ? spawn_alone(c, e) : token_source{}});
  auto& run = supervise<token_source>(name, end_order::roles, stub, &e, [this, c, &e](std::uint64_t incarnation) {
    if (c.kind == role::generator)
      return token_source{self->spawn(make_generator, generator_options{c, incarnation, config.name}, engine{e.stub})};
    const auto peer = config.links.empty() ? std::string("the peer") : config.links.front().peer_node;
    drafter_options options{c, incarnation, config.name, {peer, layers_text(c)}};
    return token_source{self->spawn(make_drafter, std::move(options), engine{e.stub}, verifier{remote_verifier_})};
  });
  return &run;
}

/// All stages of a drafter's engine are a whole model: the one that it drafts with.
token_source node_state::spawn_alone(const role_config& c, engine_entry& e) {
  auto name = "generator " + std::string(to_string(c.serves)) + " alone";
  auto stub = spawn_stub<token_source>(role::generator, name);
  supervise<token_source>(name, end_order::roles, stub, &e, [this, c, &e](std::uint64_t incarnation) {
    return token_source{self->spawn(make_generator, generator_options{c, incarnation, config.name}, engine{e.stub})};
  });
  return stub;
}

void node_state::spawn_verifier(role_entry& r, const std::string& name) {
  auto stub = spawn_stub<verifier>(role::verifier, name);
  r.verify = stub;
  r.run = &supervise<verifier>(name, end_order::roles, stub, r.engine, [this, &r](std::uint64_t incarnation) {
    verifier_options options;
    options.config = r.config;
    options.incarnation = incarnation;
    options.node = config.name;
    return self->spawn(make_verifier, std::move(options), engine{r.engine->stub});
  });
}

void node_state::spawn_sessions() {
  stubs.sessions = spawn_stub<session_host>(role::session_host, "session host");
  sessions_run_ = &supervise<session_host>(
    "session host", end_order::sessions, stubs.sessions, nullptr, [this](std::uint64_t) {
      session_host_options options{config.sessions, config.name, sources_};
      options.relayed = relayed();
      sessions_ = self->spawn(make_session_host, std::move(options));
      if (draining_)
        self->send(sessions_, drain_atom::value);
      return sessions_;
    });
}

void node_state::add_link(std::size_t index) {
  child c;
  c.name = "link " + config.links[index].peer_site + "/" + config.links[index].peer_node;
  c.order = end_order::links;
  c.spawn = [this, index](std::uint64_t) {
    const auto& l = config.links[index];
    link_options options;
    options.config = l;
    options.own = own_hello(l);
    options.seed = kids_->random();
    auto host = parts.link_host ? parts.link_host(self->system()) : nullptr;
    links_[index] = spawn_link(self->system(), host, std::move(options), parts.make_transport, node{node_actor{self}}, offered());
    return caf::actor_cast<caf::actor>(links_[index]);
  };
  c.lost = [this, index](std::uint64_t, const std::string& why) {
    peers_->lose(index, "the link's actor crashed: " + why);
    retarget_remotes();
  };
  link_runs_.push_back(&kids_->add(std::move(c)));
}

void node_state::spawn_gateway(const gateway_config& c) {
  child k;
  k.name = std::string(c.api ? "gateway" : "admin") + (c.port ? " " + std::to_string(c.port) : "");
  k.order = end_order::gateways;
  k.spawn = [this, c](std::uint64_t) {
    return parts.start_gateway(self->system(), c, stubs, node{node_actor{self}});
  };
  kids_->add(std::move(k));
}

/// Strategies whose sessions live elsewhere: at the peer of an edge, or with a generator on other nodes of the site.
relayed_strategies node_state::relayed() const {
  if (config.kind == node_kind::edge)
    return {{strategy::cloud}, remote_sessions_};
  if (far_sessions_)
    return {{strategy::cloud}, far_sessions_, false};
  return {};
}

hello node_state::own_hello() const {
  hello h;
  h.protocol = limits::protocol_version;
  h.site = config.site;
  h.node = config.name;
  h.roles = offers();
  return h;
}

/// The model as the peer sees it: that of the drafter or verifier; a node without them shares none.
hello node_state::own_hello(const link_config& l) const {
  auto h = own_hello();
  h.wire = l.wire;
  for (const auto& r : config.roles) {
    if (r.kind != role::drafter && r.kind != role::verifier)
      continue;
    h.model_digest = r.model_digest;
    h.first_layer = r.first_layer;
    h.last_layer = r.last_layer;
    h.hidden = r.hidden;
  }
  return h;
}

/// A cloud offers its session host and its verifier; an edge offers nothing: it dials, nobody asks it.
offered_roles node_state::offered() const {
  offered_roles out;
  if (config.kind != node_kind::cloud)
    return out;
  if (!sources_.empty() || far_sessions_)
    out.sessions = stubs.sessions;
  for (const auto& r : roles_)
    if (r.verify && !out.verify)
      out.verify = r.verify;
  return out;
}

} // namespace virga
