#include "actors/node/node_state.hpp"

#include "actors/node/defaults.hpp"

#include <caf/exit_reason.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace virga {

namespace {

auto seconds(caf::timespan t) { return std::chrono::duration_cast<std::chrono::seconds>(t).count(); }

} // namespace

void node_state::start(node_config c, node_parts p) {
  config = std::move(c);
  parts = std::move(p);
  kids_.emplace(self, config.name, config.restarts, config.seed);
  peers_.emplace(config.links);
  std::vector<link_config> as_links(config.neighbours.size());
  for (std::size_t i = 0; i < as_links.size(); ++i) {
    as_links[i].peer_site = config.site;
    as_links[i].peer_node = config.neighbours[i].node;
  }
  neighbour_table_.emplace(as_links);
  try {
    spawn_all();
    published_ = offers();
    spdlog::info("node {} of site {} runs {} roles and {} links", config.name, config.site, roles_.size(),
                 links_.size());
  } catch (const std::exception& e) {
    give_up("node " + config.name + ": " + e.what());
  }
}

// -- peers -------------------------------------------------------------------------------------------------------------

void node_state::on_peer(peer_state& now) {
  if (now.site == config.site) {
    neighbour_table_->update(std::move(now));
    return retarget_neighbours();
  }
  const auto site = now.site;
  const bool up = now.up;
  const auto reason = now.reason;
  const auto before = peers_->all();
  if (!peers_->update(std::move(now))) {
    spdlog::warn("node {} heard of site {}, to which it has no link", config.name, site);
    return;
  }
  for (std::size_t i = 0; i < before.size(); ++i)
    if (before[i].up != peers_->all()[i].up)
      spdlog::info("node {} link {} is {}{}", config.name, site, up ? "up" : "down: ", up ? "" : reason);
  retarget_remotes();
}

/// Points the stubs of remote roles at whoever offers them now.
void node_state::retarget_remotes() {
  auto aim = [this](role kind, auto& at, const auto& stub, auto as_role) {
    const auto now = peers_->find(kind);
    if (now == at)
      return;
    at = now;
    if (now)
      self->send(stub, target_atom::value, std::uint32_t{0}, as_role(links_[now->via]), now->incarnation);
    else
      self->send(stub, lost_atom::value, std::uint32_t{0}, peers_->why_not(kind));
  };
  aim(role::session_host, remote_sessions_at_, remote_sessions_, [](auto& l) { return session_host{l}; });
  aim(role::verifier, remote_verifier_at_, remote_verifier_, [](auto& l) { return verifier{l}; });
}

/// Tells the peers when what they may ask for has changed.
void node_state::publish() {
  auto now = offers();
  auto same = [](const role_status& a, const role_status& b) {
    return a.kind == b.kind && a.incarnation == b.incarnation;
  };
  if (std::ranges::equal(now, published_, same))
    return;
  published_ = std::move(now);
  for (auto& l : links_)
    self->send(l, roles_atom::value, published_);
  for (auto& n : neighbours_)
    self->send(n, roles_atom::value, published_);
}

// -- ends --------------------------------------------------------------------------------------------------------------

void node_state::on_down(const caf::down_msg& down) {
  if (auto sentence = kids_->down(down))
    give_up(std::move(*sentence));
  else if (kids_->ended())
    go_on();
  else if (!kids_->ending())
    publish();
}

void node_state::give_up(std::string sentence) {
  if (!kids_->ending()) {
    spdlog::error(sentence);
    sentence_ = std::move(sentence);
  }
  end();
}

void node_state::end() {
  kids_->end_all();
  go_on();
}

void node_state::drain() {
  if (draining_ || kids_->ending())
    return;
  spdlog::info("node {} drains: no new sessions, running ones have {} s", config.name, seconds(config.drain));
  draining_ = true;
  drain_until_ = self->clock().now() + config.drain;
  self->send(sessions_, drain_atom::value);
  go_on();
}

void node_state::tick() {
  ticking_ = false;
  go_on();
}

/// Goes on with draining or ending; a node that does neither has nothing to do here and sets no timer.
void node_state::go_on() {
  kids_->hurry(self->clock().now());
  if (kids_->ended())
    return sentence_.empty() ? self->quit() : self->quit(make_error(ec::internal, sentence_));
  if (draining_ && !kids_->ending())
    check_drain();
  if (!std::exchange(ticking_, true))
    self->delayed_send(self, node_defaults::drain_tick, tick_atom::value);
}

/// Ends when no session runs and no peer's sequence is left in an engine, or when the time is up.
void node_state::check_drain() {
  if (self->clock().now() >= drain_until_) {
    spdlog::warn("node {} ends with sessions running: {} s have passed", config.name, seconds(config.drain));
    return kids_->end_all();
  }
  ask_engines([this] {
    if (std::ranges::any_of(engines_, [](auto& e) { return e.last.sequences + e.last.waiting > 0; }))
      return;
    self->request(sessions_, node_defaults::stats_patience, stats_atom::value)
      .then(
        [this](std::uint64_t running) {
          if (running == 0)
            end();
        },
        [](const caf::error&) {});
  });
}

caf::actor node_state::find(std::string_view name) const {
  for (const auto& c : kids_->children())
    if (c.name == name)
      return c.actor;
  return {};
}

// ----------------------------------------------------------------------------------------------------------------------

node_actor::behavior_type make_node(node_actor::stateful_pointer<node_state> self, node_config config,
                                    node_parts parts) {
  auto& st = self->state;
  self->set_down_handler([&st](const caf::down_msg& down) { st.on_down(down); });
  self->set_exit_handler([&st](const caf::exit_msg&) { st.end(); });
  st.start(std::move(config), std::move(parts));
  return {[&st](peer_atom, peer_state& now) { st.on_peer(now); },
          [&st](stats_atom) { return st.report(); },
          [&st](drain_atom) { st.drain(); },
          [&st](tick_atom) { st.tick(); },
          [&st](roles_atom) { return st.stubs; }};
}

} // namespace virga
