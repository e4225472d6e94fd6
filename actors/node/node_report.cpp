#include "actors/node/node_state.hpp"

#include "actors/node/defaults.hpp"

#include <algorithm>

namespace virga {

bool node_state::usable(const role_entry& r) const {
  if (r.engine)
    return r.run->running && r.engine->run->running;
  auto somewhere = [](const far_part* p) {
    return std::ranges::any_of(p->incarnations, [](auto incarnation) { return incarnation != 0; });
  };
  return (!r.run || r.run->running) && std::ranges::all_of(r.parts, somewhere);
}

/// As a peer knows the role; 0 while it does not run.
std::uint64_t node_state::incarnation_of(const role_entry& r) const {
  if (r.engine)
    return r.run->running ? r.run->incarnation : 0;
  return !usable(r) ? 0 : r.run ? r.run->incarnation : r.incarnation;
}

/// Whether there is anyone who answers what the session host takes.
bool node_state::answers_sessions() const {
  auto far = [this](const role_entry& r) { return r.config.kind == role::generator && !r.engine && usable(r); };
  return sessions_run_->running && (!sources_.empty() || std::ranges::any_of(roles_, far));
}

/// What a peer may ask this node for now; incarnation 0 while it does not run.
std::vector<role_status> node_state::offers() const {
  std::vector<role_status> out;
  const auto what = offered();
  if (what.sessions)
    out.push_back({role::session_host, answers_sessions() ? sessions_run_->incarnation : 0});
  for (const auto& r : roles_)
    if (what.verify && r.verify == what.verify)
      out.push_back({role::verifier, incarnation_of(r)});
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
      s.roles.push_back({c.name, c.running, c.incarnation, c.restarts, c.mailbox_us});
  s.peers = peers_->all();
  s.neighbours = neighbour_table_->all();
  for (const auto& e : engines_) {
    s.engines.push_back(e.last);
    s.engines.back().name = e.name;
  }
  auto seconds = [](caf::timespan t) {
    return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(t).count());
  };
  s.supervision = {config.restarts.max_restarts, seconds(config.restarts.within), seconds(config.drain)};
  return s;
}

namespace {

/// Calls `done` once every answer waited for has come (or failed), and its maker has called it itself.
std::function<void()> count_down(std::size_t answers, std::function<void()> done) {
  return [left = std::make_shared<std::size_t>(answers + 1), done = std::move(done)] {
    if (--*left == 0)
      done();
  };
}

} // namespace

/// Asks an actor for its numbers, and sees how long the question waited; one that stays silent keeps its last numbers.
template <class Numbers, class Actor>
void node_state::look(const Actor& at, child& c, std::function<void(const Numbers&)> take, std::function<void()> done) {
  auto asked = self->clock().now();
  auto waited = [this, &c, asked] {
    auto time = self->clock().now() - asked;
    c.mailbox_us = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
  };
  self->request(at, node_defaults::stats_patience, stats_atom::value)
    .then(
      [=](const Numbers& now) {
        waited();
        take(now);
        done();
      },
      [=](const caf::error&) {
        waited();
        done();
      });
}

/// Calls `done` when every engine has told its numbers.
void node_state::ask_engines(std::function<void()> done) {
  auto one_less = count_down(engines_.size(), std::move(done));
  for (auto& e : engines_)
    e.run->running ? look<engine_stats>(e.actor, *e.run, [&e](auto& now) { e.last = now; }, one_less) : one_less();
  one_less();
}

/// Calls `done` when every link has told what it measures.
void node_state::ask_links(std::function<void()> done) {
  auto one_less = count_down(links_.size(), std::move(done));
  for (std::size_t i = 0; i < links_.size(); ++i)
    look<peer_state>(links_[i], *link_runs_[i], [this, i](auto& now) { peers_->measured(i, now); }, one_less);
  one_less();
}

void node_state::ask_sessions(std::function<void()> done) {
  sessions_run_->running ? look<std::uint64_t>(sessions_, *sessions_run_, [](auto) {}, done) : done();
}

caf::result<node_status> node_state::report() {
  auto promise = self->make_response_promise<node_status>();
  auto all = count_down(3, [this, promise]() mutable { promise.deliver(snapshot()); });
  ask_engines(all);
  ask_links(all);
  ask_sessions(all);
  all();
  return promise;
}

} // namespace virga
