#include "actors/gateway/gateway.hpp"

#include "actors/gateway/defaults.hpp"
#include "actors/gateway/front.hpp"
#include "actors/gateway/http_server.hpp"
#include "actors/gateway/port_file.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <openssl/rand.h>
#include <spdlog/spdlog.h>

#include <stdexcept>

namespace virga {

namespace {

session_id random_id() {
  session_id id;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&id), sizeof id) != 1)
    throw std::runtime_error("the operating system gives no random numbers");
  return id;
}

/// The way out of the HTTP thread: straight to the stubs, which answer to the gateway.
front_ports make_ports(const gateway_parts& parts, sink reply) {
  auto& stubs = parts.stubs;
  front_ports p;
  if (parts.reshape)
    p.reshape = [reshape = parts.reshape, server = std::weak_ptr(parts.server)](const std::string& peer,
                                                                                const shape_change& what, auto done) {
      reshape(peer, what, [server, done = std::move(done)](std::optional<link_shape> now) {
        if (auto alive = server.lock())
          alive->post([done, now] { done(now); });
      });
    };
  p.make_id = random_id;
  p.ask = [to = stubs.sessions, reply](header h, generate g) {
    caf::anon_send(to, call<generate>{h, std::move(g), reply});
  };
  p.cancel = [to = stubs.sessions, reply](header h) { caf::anon_send(to, call<cancel>{h, {}, reply}); };
  return p;
}

} // namespace

gateway_state::~gateway_state() {
  if (parts.server)
    parts.server->stop();  // after this nobody uses `requests`, whose responders need the server
  requests.reset();
}

void gateway_state::start(gateway_parts p) {
  parts = std::move(p);
  requests = std::make_shared<front>(parts.config, make_ports(parts, caf::actor_cast<sink>(self)));
  parts.config.api_keys.clear();
  parts.server->start(*requests);
  refresh();
}

void gateway_state::pass(answer& a) {
  parts.server->post([f = requests.get(), a = std::move(a)]() mutable { f->on_answer(a, steady_clock::now()); });
}

void gateway_state::refresh() {
  auto again = [this] { self->delayed_send(self, gateway_defaults::status_every, tick_atom::value); };
  self->request(parts.home, gateway_defaults::status_time, stats_atom::value)
    .then(
      [this, again](node_status& s) {
        failures = 0;
        parts.server->post([f = requests.get(), s = std::move(s)]() mutable { f->on_status(std::move(s)); });
        again();
      },
      [this, again](caf::error&) {
        if (++failures >= gateway_defaults::status_failures)
          parts.server->post([f = requests.get()] { f->on_silent_node(); });
        again();
      });
}

void gateway_state::drain() {
  if (draining)
    return;
  draining = true;
  parts.file.reset();
  parts.server->post([f = requests.get()] { f->drain(); });
  parts.server->drain([me = caf::actor_cast<gateway>(self)] { caf::anon_send(me, end_atom::value); });
}

gateway::behavior_type make_gateway(gateway::stateful_pointer<gateway_state> self, gateway_parts parts) {
  auto& st = self->state;
  self->set_exit_handler([self](caf::exit_msg& m) {
    m.reason == caf::exit_reason::kill ? self->quit(m.reason) : self->state.drain();
  });
  self->set_down_handler([self](caf::down_msg&) { self->state.drain(); });
  self->monitor(parts.home);
  st.start(std::move(parts));
  return {[&st](answer& a) { st.pass(a); },
          [&st](tick_atom) { st.refresh(); },
          [self](end_atom) { self->quit(); }};
}

caf::actor start_gateway(caf::actor_system& sys, const gateway_config& config, const node_stubs& stubs, node home,
                         link_reshaper reshape) {
  auto server = std::make_shared<http_server>(config.host, config.port);
  if (!server->is_loopback() && config.api_keys.empty())
    throw std::runtime_error("the gateway refuses to listen on " + config.host
                             + ": other machines can reach it and no API keys are set; set api_keys, or host 127.0.0.1");
  auto file = std::make_shared<port_file>(config.port_file, server->port());
  spdlog::info("gateway on {}:{} api={} keys={} max_requests={}", config.host, server->port(), config.api,
               config.api_keys.size(), config.max_requests);
  gateway_parts parts{config, std::move(server), std::move(file), stubs, std::move(home), std::move(reshape)};
  return caf::actor_cast<caf::actor>(sys.spawn(make_gateway, std::move(parts)));
}

} // namespace virga
