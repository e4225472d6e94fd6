#include "actors/site/neighbour.hpp"

#include "actors/link/handshake.hpp"
#include "actors/site/defaults.hpp"

#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace virga {

namespace {

/// Where a node of the same deployment stands that is to be met; CAF's TLS proves the site, not the name.
handshake expected(const neighbour_options& o) { return {o.own, o.own.site, o.config.node}; }

} // namespace

std::optional<frame> frame_in(const site_bytes& unit, time_point now) {
  frame_decoder alone;
  const auto room = alone.room();
  if (unit.data.size() > room.size())
    return std::nullopt;
  std::ranges::copy(unit.data, room.begin());
  alone.filled(unit.data.size());
  auto whole = alone.next(now);
  if (!whole || !*whole || (*whole)->refused)
    return std::nullopt;
  return std::move((*whole)->value);
}

// -- coming together ---------------------------------------------------------------------------------------------------

void neighbour_state::start() {
  wait_ = options.config.backoff_min;
  if (options.config.dial)
    connect();
}

void neighbour_state::connect() {
  if (connecting_ || door_ || other_)
    return;
  connecting_ = true;
  auto& c = options.config;
  self->request(options.middleman, site_defaults::connect_time, caf::connect_atom::value, c.host, c.port)
    .then(
      [this](const caf::node_id&, const caf::strong_actor_ptr& door, const std::set<std::string>&) {
        connecting_ = false;
        greet(door);
      },
      [this](const caf::error& why) {
        connecting_ = false;
        const auto at = options.config.host + ":" + std::to_string(options.config.port);
        lose(why == caf::sec::disconnect_during_handshake
               ? options.config.node + " at " + at + " refused the connection: are both certificates of this site?"
               : options.config.node + " cannot be reached at " + at);
      });
}

/// Knocks. Whoever opens is watched from here on, so that a silence has an end.
void neighbour_state::greet(const caf::strong_actor_ptr& door) {
  if (!door)
    return lose(options.config.node + " has no door at its site port: is it an older version?");
  door_ = door;
  self->monitor(caf::actor_cast<knocker>(door_));
  units_.emplace();
  sent_ = 0;
  greeted_ = self->clock().now();
  auto units = encode({{}, ++sent_, priority::control, options.own}, self->clock().now());
  if (units)
    self->send(caf::actor_cast<knocker>(door_), join_atom::value, site_bytes{std::move(units->front())});
  schedule();
}

/// The other side has knocked. A newer one takes the place of an older one that has not been missed yet.
void neighbour_state::join(const caf::strong_actor_ptr& other, const site_bytes& greeting) {
  if (other_)
    lose(options.config.node + " has come anew");
  other_ = caf::actor_cast<unit_sink>(other);
  units_.emplace();
  sent_ = 0;
  auto first = frame_in(greeting, self->clock().now());
  auto* theirs = first ? std::get_if<hello>(&first->body) : nullptr;
  auto no = theirs ? refusal(expected(options), *theirs, options.config.node) : "it does not begin with a hello";
  if (no) {
    spdlog::warn("node {} refuses {}: {}", options.own.node, options.config.node, *no);
    send_unchecked({{}, 0, priority::control, failure{ec::handshake_refused, 0, *no}});
    other_ = nullptr;
    return;
  }
  self->monitor(other_);
  send_unchecked({{}, 0, priority::control, options.own});
  meet(*theirs);
}

void neighbour_state::meet(const hello& other) {
  together_ = true;
  wait_ = options.config.backoff_min;
  ++seen_.connections;
  roles_ = other.roles;
  reason_.clear();
  spdlog::info("node {} and {} of site {} are together", options.own.node, options.config.node, options.own.site);
  tell_node();
  schedule();
}

void neighbour_state::on_down(const caf::down_msg& down) {
  if (!(other_ && down.source == other_.address()) && !(door_ && down.source == door_->address()))
    return;
  lose(down.reason == caf::exit_reason::remote_link_unreachable ? "the connection to " + options.config.node + " is lost"
                                                                : options.config.node + " has ended");
}

/// @param why one sentence
void neighbour_state::lose(std::string why) {
  leave_door();
  if (other_)
    self->demonitor(other_.address());
  other_ = nullptr;
  calls->fail(ec::peer_unreachable, why);
  if (std::exchange(together_, false)) {
    roles_.clear();
    calls->lose(self->clock().now());
  }
  if (why != reason_) {
    reason_ = std::move(why);
    spdlog::warn("node {} is without {}: {}", options.own.node, options.config.node, reason_);
    tell_node();
  }
  schedule();
  if (options.config.dial)
    later();
}

void neighbour_state::leave_door() {
  if (door_)
    self->demonitor(door_->address());
  door_ = nullptr;
}

void neighbour_state::later() {
  self->delayed_send(self, wait_, begin_atom::value);
  wait_ = std::min(2 * wait_, options.config.backoff_max);
}

void neighbour_state::receive(site_bytes& unit) {
  const auto from = caf::actor_cast<unit_sink>(self->current_sender());
  if (from && door_)
    return open(unit, from);
  if (!from || from != other_)
    return;
  seen_.bytes_in += unit.data.size();
  if (auto why = decode(unit)) {
    ++seen_.broken_streams;
    lose(options.config.node + " sent what is no frame: " + *why);
  }
}

/// The answer to our knock: a hello, or why not. From here on its NEIGHBOUR is watched in the place of its door.
void neighbour_state::open(const site_bytes& unit, const unit_sink& from) {
  auto first = frame_in(unit, self->clock().now());
  auto* theirs = first ? std::get_if<hello>(&first->body) : nullptr;
  auto* no = first ? std::get_if<failure>(&first->body) : nullptr;
  auto why = theirs ? refusal(expected(options), *theirs, options.config.node)
                    : std::optional<std::string>{no ? options.config.node + " refuses this node: " + no->text
                                                    : options.config.node + " does not begin with a hello"};
  if (why) {
    ++seen_.refusals;
    return lose(std::move(*why));
  }
  leave_door();
  other_ = from;
  self->monitor(other_);
  meet(*theirs);
}

// -- the node ----------------------------------------------------------------------------------------------------------

void neighbour_state::roles_changed(std::vector<role_status> roles) {
  options.own.roles = std::move(roles);
  if (together_)
    send_unchecked({{}, 0, priority::control, status{options.own.roles}});
}

peer_state neighbour_state::current() const {
  auto counts = calls->counts;
  counts.connections = seen_.connections;
  counts.refusals = seen_.refusals;
  counts.broken_streams = seen_.broken_streams;
  counts.stale_incarnations = seen_.stale_incarnations;
  counts.refused_frames = seen_.refused_frames;
  counts.bytes_out = seen_.bytes_out;
  counts.bytes_in = seen_.bytes_in;
  return {options.own.site, options.config.node, together_, reason_, roles_, {}, counts};
}

void neighbour_state::tell_node() { self->send(parent, peer_atom::value, current()); }

// -- time --------------------------------------------------------------------------------------------------------------

void neighbour_state::tick() {
  ticking_ = false;
  const auto now = self->clock().now();
  calls->fail(ec::deadline_exceeded, options.config.node + " did not answer in time", now);
  calls->close_orphans(now);
  if (door_ && now >= greeted_ + site_defaults::connect_time)
    return lose(options.config.node + " did not answer its door");
  schedule();
}

void neighbour_state::schedule() {
  const bool waiting = door_ || other_ || calls->orphans_due() != time_point::max();
  if (waiting && !std::exchange(ticking_, true))
    self->delayed_send(self, site_defaults::tick, tick_atom::value);
}

neighbour_actor::behavior_type make_neighbour(neighbour_state::pointer self, neighbour_options options, node parent,
                                              offered_roles offered) {
  auto& st = self->state;
  st.options = std::move(options);
  st.parent = std::move(parent);
  st.calls.emplace(self, st, st.options.config.node, std::move(offered));
  self->set_down_handler([&st](const caf::down_msg& down) { st.on_down(down); });
  st.start();
  return {[&st](call<generate>& c) { st.calls->ask(c); },
          [&st](call<open_session>& c) { st.calls->ask(c); },
          [&st](call<verify>& c) { st.calls->ask(c); },
          [&st](call<close_session>& c) { st.calls->tell(c); },
          [&st](call<cancel>& c) { st.calls->tell(c); },
          [&st](answer& a) { st.calls->answer_peer(a); },
          [&st](roles_atom, std::vector<role_status>& roles) { st.roles_changed(std::move(roles)); },
          [&st](tick_atom) { st.tick(); },
          [&st](stats_atom) { return st.current(); },
          [&st](site_bytes& unit) { st.receive(unit); },
          [&st](join_atom, const caf::strong_actor_ptr& other, const site_bytes& greeting) { st.join(other, greeting); },
          [&st](begin_atom) { st.connect(); }};
}

} // namespace virga
