#include "actors/session/session_host.hpp"

#include "actors/answers.hpp"
#include "actors/session/relay.hpp"
#include "actors/session/session.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace virga {

namespace {

/// A session that lives answers at once, so this much silence means that its node has other worries.
constexpr auto resume_patience = std::chrono::seconds(10);

} // namespace

session_host_state::session_host_state(session_host_actor::pointer self_ptr) : self(self_ptr) {}

session_host_state::~session_host_state() {
  for (auto& [id, s] : sessions)
    caf::anon_send_exit(s.actor, caf::exit_reason::user_shutdown);
}

void session_host_state::accept(call<generate>& request) {
  auto& hdr = request.hdr;
  auto refuse = [&](ec code, std::string text, std::uint64_t detail = 0) {
    fail_to(request.reply, hdr, code, std::move(text), detail);
  };
  if (sessions.count(hdr.session) != 0)
    return resume(request);
  if (draining)
    return refuse(ec::shutting_down, options.node + " is shutting down: ask another node");
  if (sessions.size() >= options.config.max_sessions)
    return refuse(ec::queue_full, options.node + " answers as many requests as it may: try again", 1000);
  begin_session(request);
}

/// Of a session that runs: its asker has lost it and finds it again.
void session_host_state::resume(call<generate>& request) {
  auto& known = sessions.at(request.hdr.session);
  if (known.from != request.from)
    return fail_to(request.reply, request.hdr, ec::unknown_session,
                   "session " + to_string(request.hdr.session) + " was opened by somebody else");
  if (known.hdr.epoch < site_epochs || request.hdr.epoch <= known.hdr.epoch)
    return fail_to(request.reply, request.hdr, ec::bad_request,
                   "session " + to_string(request.hdr.session) + " runs already");
  known.hdr = request.hdr;
  known.reply = request.reply;
  auto begin_anew = [this, request](const caf::error& why) mutable {
    if (why == caf::sec::request_timeout)  // it may live: its asker comes again
      return fail_to(request.reply, request.hdr, ec::peer_unreachable,
                     "session " + to_string(request.hdr.session) + " does not answer: ask again");
    if (auto ended = sessions.find(request.hdr.session); ended != sessions.end()) {
      by_address.erase(ended->second.actor.address());
      sessions.erase(ended);
    }
    begin_session(request);
  };
  self->request(known.actor, resume_patience, request).then([] {}, std::move(begin_anew));
}

void session_host_state::begin_session(call<generate>& request) {
  auto& hdr = request.hdr;
  auto actor = spawn_for(request);
  if (!actor)
    return fail_to(request.reply, hdr, ec::unsupported,
                   options.node + " does not run strategy " + std::string{to_string(request.body.how)}
                     + ": choose another");
  self->monitor(actor);
  by_address.emplace(actor.address(), hdr.session);
  sessions.emplace(hdr.session, running{actor, hdr, std::move(request.reply), std::move(request.from)});
}

/// @returns nothing for a strategy that nobody answers here
session session_host_state::spawn_for(call<generate>& request) {
  auto how = request.body.how;
  auto source = std::ranges::find(options.sources, how, &strategy_source::how);
  auto local = source != options.sources.end();
  if (!local && std::ranges::count(options.relayed.hows, how) == 0)
    return {};
  spdlog::info("request {} session {} strategy {} begins at {}", request.body.request_id,
               to_string(request.hdr.session), to_string(how), local ? options.node : options.relayed.across_link ? "the peer" : "another node of the site");
  if (!local)
    return self->spawn(make_relay, relay_options{request.hdr, std::move(request.body), request.reply,
                                                 options.relayed.peer, options.config, options.relayed.across_link});
  return self->spawn(make_session, session_options{request.hdr, std::move(request.body), request.reply, *source,
                                                   options.config, options.node});
}

void session_host_state::stop(call<cancel>& request) {
  auto it = sessions.find(request.hdr.session);
  if (it != sessions.end() && it->second.from == request.from)
    self->send(it->second.actor, std::move(request));
}

void session_host_state::forget(const caf::down_msg& down) {
  auto it = by_address.find(down.source);
  if (it == by_address.end())
    return;
  auto gone = sessions.find(it->second);
  // A session quits normally after its outcome; any other end is ours to tell the client.
  if (down.reason != caf::exit_reason::normal)
    fail_to(gone->second.reply, gone->second.hdr, ec::internal, "the session ended unexpectedly");
  sessions.erase(gone);
  by_address.erase(it);
}

session_host_actor::behavior_type make_session_host(session_host_actor::stateful_pointer<session_host_state> self,
                                                    session_host_options options) {
  auto& st = self->state;
  st.options = std::move(options);
  self->set_down_handler([&st](const caf::down_msg& down) { st.forget(down); });
  return {[&st](call<generate>& c) { st.accept(c); },
          [&st](call<cancel>& c) { st.stop(c); },
          [&st](drain_atom) { st.draining = true; },
          [&st](stats_atom) { return static_cast<std::uint64_t>(st.sessions.size()); }};
}

} // namespace virga
