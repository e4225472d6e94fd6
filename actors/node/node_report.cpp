#include "actors/node/node_state.hpp"

#include "actors/node/defaults.hpp"

#include <algorithm>

namespace virga {

bool node_state::usable(const role_entry& r) const { return r.run->running && r.engine->run->running; }

/// What a peer may ask this node for now; incarnation 0 while it does not run.
std::vector<role_status> node_state::offers() const {
  std::vector<role_status> out;
  const auto what = offered();
  auto running = [](const child& c) { return c.running ? c.incarnation : 0; };
  if (what.sessions)
    out.push_back({role::session_host, running(*sessions_run_)});
  for (const auto& r : roles_)
    if (what.verify && r.verify == what.verify)
      out.push_back({role::verifier, running(*r.run)});
  return out;
}

/// The strategies that can be answered right now. Losing a peer takes `cloud` and `split` from an edge, never `edge`.
std::vector<strategy> node_state::served() const {
  std::vector<strategy> out;
  for (const auto& r : roles_) {
    if (r.config.kind == role::generator && usable(r))
      out.push_back(r.config.serves);
    if (r.config.kind == role::drafter && usable(r) && remote_verifier_at_)
      out.push_back(r.config.serves);
  }
  if (config.kind == node_kind::edge && remote_sessions_at_)
    out.push_back(strategy::cloud);
  std::ranges::sort(out);
  const auto repeated = std::ranges::unique(out);
  out.erase(repeated.begin(), repeated.end());
  return out;
}

/// Why this node is not ready, empty when it is. Peers do not count: a node works without them as far as it can.
std::string node_state::not_ready() const {
  if (!sentence_.empty())
    return sentence_;
  if (kids_->ending())
    return "the node is ending";
  if (draining_)
    return "the node is draining";
  for (const auto& c : kids_->children())
    if (!c.running)
      return c.name + (c.loads && c.actor ? " is loading" : " is not running");
  return {};
}

node_status node_state::snapshot() const {
  node_status s;
  s.name = config.name;
  s.site = config.site;
  s.kind = config.kind == node_kind::cloud ? "cloud" : "edge";
  s.reason = not_ready();
  s.ready = s.reason.empty();
  s.draining = draining_;
  s.strategies = served();
  for (const auto& c : kids_->children())
    if (c.order != end_order::stubs)
      s.roles.push_back({c.name, c.running, c.incarnation, c.restarts});
  s.peers = peers_->all();
  for (const auto& e : engines_)
    s.engines.push_back(e.last);
  return s;
}

/// Calls `done` when every engine has told its numbers; one in a long step keeps its last ones.
void node_state::ask_engines(std::function<void()> done) {
  auto last = std::make_shared<std::size_t>(1);
  auto one_less = [last, done = std::move(done)] {
    if (--*last == 0)
      done();
  };
  for (auto& e : engines_) {
    if (!e.run->running)
      continue;
    ++*last;
    self->request(e.actor, node_defaults::stats_patience, stats_atom::value)
      .then(
        [&e, one_less](const engine_stats& stats) {
          e.last = stats;
          one_less();
        },
        [one_less](const caf::error&) { one_less(); });
  }
  one_less();
}

caf::result<node_status> node_state::report() {
  auto promise = self->make_response_promise<node_status>();
  ask_engines([this, promise]() mutable { promise.deliver(snapshot()); });
  return promise;
}

} // namespace virga
