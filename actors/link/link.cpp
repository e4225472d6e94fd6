#include "actors/link/link.hpp"

#include "actors/link/hosted.hpp"

#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace virga {

// -- what the calls need of the protocol -------------------------------------------------------------------------------

void link_state::send_peer(frame f) { run(protocol->send(std::move(f), now())); }
void link_state::repeated(const session_id& id) { protocol->meter().repeated(id); }
traffic link_state::answered(const session_id& id, bool last) { return protocol->meter().answered(id, last); }

// -- the protocol's actions --------------------------------------------------------------------------------------------

/// An action may lead to others; they wait for their turn, so that bytes leave in the order in which they were made.
void link_state::run(link_actions actions) {
  auto nested = !todo.empty();
  std::move(actions.begin(), actions.end(), std::back_inserter(todo));
  if (nested)
    return;
  for (; !todo.empty(); todo.pop_front())
    std::visit([this](auto& action) { act(action); }, todo.front());
  move_bytes();
  schedule();
}

/// Receives and sends what there is; beyond a turn's bytes the others of this thread come first.
void link_state::move_bytes() {
  if (moving)
    return;
  moving = true;
  auto left = link_defaults::turn_bytes;
  for (bool more = true; more && left > 0;) {
    more = receive(left);
    more = send(left) || more;
  }
  moving = false;
  pipe->flush(protocol->connection());
  if (left == 0)
    self->send(self, pipe_ready{protocol->connection()});
}

/// @returns whether there was something
bool link_state::receive(std::size_t& left) {
  auto connection = protocol->connection();
  if (connection == 0)
    return false;
  auto bytes = pipe->read(connection, protocol->room());
  if (bytes == 0)
    return false;
  left -= std::min(left, bytes);
  run(protocol->on_received(bytes, now()));
  return true;
}

bool link_state::send(std::size_t& left) {
  auto bytes = protocol->outgoing(now());
  if (bytes.empty())
    return false;
  auto taken = pipe->write(protocol->connection(), bytes);
  left -= std::min(left, taken);
  run(protocol->on_sent(taken, now()));
  return taken == bytes.size();
}

void link_state::act(open_pipe&) { pipe->open(); }
void link_state::act(close_pipe& x) {
  pipe->write(x.connection, x.last_words);
  pipe->close(x.connection, x.reason);
}

void link_state::act(deliver_frame& x) { calls->deliver(x.message); }
void link_state::act(refused_frame& x) { calls->refused(x.hdr, std::move(x.why)); }
void link_state::act(undelivered& x) { calls->undelivered(x.message, std::move(x.why), protocol->is_up()); }

void link_state::act(peer_up& x) {
  spdlog::info("link to {} ({}): up", x.peer.node, x.peer.site);
  roles = std::move(x.peer.roles);
  reason.clear();
  tell_node();
}

void link_state::act(peer_roles& x) {
  roles = std::move(x.roles);
  tell_node();
}

void link_state::act(peer_down& x) {
  calls->fail(ec::peer_unreachable, "the link to " + config.peer_node + " is down: " + x.reason);
  if (x.reason == reason)
    return;
  if (reason.empty()) {  // it was up
    roles.clear();
    calls->lose(now());
  }
  reason = std::move(x.reason);
  spdlog::warn("link to {} ({}): down: {}", config.peer_node, config.peer_site, reason);
  tell_node();
}

// -- time --------------------------------------------------------------------------------------------------------------

void link_state::tick() {
  if (now() >= scheduled)
    scheduled = time_point::max();
  calls->fail(ec::deadline_exceeded, config.peer_node + " did not answer in time", now());
  calls->close_orphans(now());
  run(protocol->on_tick(now()));
}

/// One timer is enough: an earlier one replaces it, and a tick that comes too soon does no harm.
void link_state::schedule() {
  const auto due = std::min<time_point>(protocol->next_tick(), calls->orphans_due());
  if (due >= scheduled)
    return;
  scheduled = due;
  self->delayed_send(self, std::max<caf::timespan>(due - now(), caf::timespan{0}), tick_atom::value);
}

time_point link_state::now() const { return self->clock().now(); }

peer_state link_state::current() const {
  return {config.peer_site, config.peer_node, protocol->is_up(), reason, roles, protocol->meter().quality(), counted()};
}

link_counts link_state::counted() const {
  auto& p = protocol->counters();
  auto& w = protocol->window();
  auto out = calls->counts;
  out.connections = p.connections;
  out.refusals = p.refusals;
  out.broken_streams = p.broken_streams;
  out.duplicates = p.duplicates;
  out.out_of_order = p.out_of_order;
  out.stale_incarnations = p.stale_incarnation;
  out.refused_frames = p.refused_frames;
  out.bytes_out = p.bytes_out;
  out.bytes_in = p.bytes_in;
  out.queued_bytes = protocol->queued_bytes();
  out.under_way_bytes = w.under_way();
  out.window_bytes = w.window();
  return out;
}

void link_state::tell_node() { self->send(parent, peer_atom::value, current()); }

// -- the actor ---------------------------------------------------------------------------------------------------------

namespace {

protocol_options options_of(link_options& o) {
  auto& c = o.config;
  return {{std::move(o.own), c.peer_site, c.peer_node}, c.dial,        c.heartbeat, c.dead_after,
          c.backoff_min,                                c.backoff_max, o.seed,      o.queue_bytes, c.planted};
}

} // namespace

link_actor::behavior_type make_link(link_state::pointer self, link_options options, transport_factory make_transport,
                                    node parent, offered_roles offered) {
  auto& st = self->state;
  st.config = options.config;
  st.parent = std::move(parent);
  st.calls.emplace(self, st, st.config.peer_node, std::move(offered));
  st.protocol = std::make_unique<link_protocol>(options_of(options));
  st.pipe = make_transport(st.config, pipe_events{self});
  st.run(st.protocol->start(st.now()));
  return {
    [&st](call<generate>& c) { st.calls->ask(c); },
    [&st](call<open_session>& c) { st.calls->ask(c); },
    [&st](call<verify>& c) { st.calls->ask(c); },
    [&st](call<close_session>& c) { st.calls->tell(c); },
    [&st](call<cancel>& c) { st.calls->tell(c); },
    [&st](answer& a) { st.calls->answer_peer(a); },
    [&st](roles_atom, std::vector<role_status>& r) { st.run(st.protocol->roles_changed(std::move(r), st.now())); },
    [&st](tick_atom) { st.tick(); },
    [&st](stats_atom) { return st.current(); },
    [&st](pipe_up& x) { st.run(st.protocol->on_pipe_up(x.connection, x.peer_name, st.now())); },
    [&st](pipe_ready&) { st.run({}); },
    [&st](pipe_down& x) { st.run(st.protocol->on_pipe_down(x.connection, x.reason, st.now())); },
  };
}

namespace {

class link_instance : public hosted<caf::stateful_actor<link_state, link_actor::base>> {
public:
  template <class... Ts>
  link_instance(caf::actor_config& config, caf::execution_unit* host, Ts&&... xs)
    : hosted(config, host), make_{[this, ... args = std::forward<Ts>(xs)]() mutable {
        return make_link(this, std::move(args)...);
      }} {}

protected:
  link_actor::behavior_type make_behavior() override { return std::exchange(make_, nullptr)(); }

private:
  std::function<link_actor::behavior_type()> make_;
};

} // namespace

link_actor spawn_link(caf::actor_system& system, caf::execution_unit* host, link_options options,
                      transport_factory make_transport, node parent, offered_roles offered) {
  caf::actor_config config{host};
  return caf::actor_cast<link_actor>(system.spawn_class<link_instance, caf::no_spawn_options>(
    config, host, std::move(options), std::move(make_transport), std::move(parent), std::move(offered)));
}

} // namespace virga
