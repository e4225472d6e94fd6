// Frames of the peer, on a link that is up: to whom they go, what is refused, what becomes of its sessions. link.cpp has the
// rest of the LINK actor.
#include "actors/link/link.hpp"

#include <caf/send.hpp>

#include <limits>

namespace virga {

namespace {

template <class T>
constexpr bool is_answer = std::is_constructible_v<answer_body, T>;

template <class T>
constexpr bool is_request = std::is_same_v<T, generate> || std::is_same_v<T, open_session> || std::is_same_v<T, verify>
                            || std::is_same_v<T, close_session> || std::is_same_v<T, cancel>;

template <class T>
constexpr bool is_for_sessions = std::is_same_v<T, generate> || std::is_same_v<T, cancel>;

template <class T>
constexpr bool opens_session = std::is_same_v<T, generate> || std::is_same_v<T, open_session>;

template <class T>
constexpr bool is_answered = opens_session<T> || std::is_same_v<T, verify>;

constexpr std::size_t first_answer = 10; // of payload: opened

static_assert(std::is_same_v<std::variant_alternative_t<first_answer, payload>, opened>);

} // namespace

// -- frames of the peer ------------------------------------------------------------------------------------------------

/// A session belongs to the peer that opened it: on another link nobody can verify, close or cancel it.
template <class T, class Role>
void link_state::request(const header& hdr, T& body, role kind, const Role& to) {
  auto refuse = [&](ec code, std::string text) {
    if (is_answered<T>)
      fail_peer(hdr, code, std::move(text));
  };
  if (hdr.target != kind || !to)
    return refuse(ec::unsupported, std::string{to_string(hdr.target)} + " is not offered to " + config.peer_node);
  if (sessions.newest_epoch(hdr.session) > hdr.epoch) {
    ++counts.stale_epochs;
    return refuse(ec::stale_epoch, "a newer placement of session " + to_string(hdr.session) + " is open");
  }
  if constexpr (opens_session<T>) {
    sessions.opened(hdr.session, hdr.epoch, std::is_same_v<T, generate>);
  } else if (!sessions.knows(hdr.session)) {
    ++counts.foreign_sessions;
    return refuse(ec::unknown_session, "session " + to_string(hdr.session) + " was not opened by " + config.peer_node);
  }
  if constexpr (std::is_same_v<T, close_session>)
    sessions.closed(hdr.session);
  self->send(to, call<T>{hdr, std::move(body), sink{self}});
}

void link_state::answered(header hdr, answer_body body) {
  auto i = calls.find({hdr.session, hdr.target, hdr.epoch, hdr.unit});
  if (i == calls.end()) {
    ++counts.late_answers;
    return;
  }
  auto last = !std::holds_alternative<tokens>(body);
  auto wire = protocol->meter().answered(hdr.session, last);
  self->send(i->second.reply, answer{i->second.hdr, std::move(body), last, wire});
  if (last)
    calls.erase(i);
}

void link_state::fail_peer(const header& hdr, ec code, std::string text) {
  run(protocol->send({hdr, 0, {}, failure{code, 0, std::move(text)}}, now()));
}

void link_state::act(deliver_frame& x) {
  auto& hdr = x.message.hdr;
  auto deliver = [&](auto& body) {
    using body_type = std::decay_t<decltype(body)>;
    if constexpr (is_answer<body_type>)
      answered(hdr, std::move(body));
    else if constexpr (is_for_sessions<body_type>)
      request(hdr, body, role::session_host, offered.sessions);
    else if constexpr (is_request<body_type>)
      request(hdr, body, role::verifier, offered.verify);
    else
      fail_peer(hdr, ec::unsupported, "no role of this node takes such a message");
  };
  std::visit(deliver, x.message.body);
}

/// Of our own call: its asker hears it. Else it was the peer's.
void link_state::act(refused_frame& x) {
  if (calls.count({x.hdr.session, x.hdr.target, x.hdr.epoch, x.hdr.unit}) > 0)
    answered(x.hdr, std::move(x.why));
  else
    fail_peer(x.hdr, x.why.code, std::move(x.why.text));
}

void link_state::act(undelivered& x) {
  auto body = x.message.body.index();
  if (body < first_answer)
    return answered(x.message.hdr, std::move(x.why));
  ++counts.lost_answers;
  if (protocol->is_up() && !std::holds_alternative<failure>(x.message.body))
    fail_peer(x.message.hdr, x.why.code, std::move(x.why.text));
}

// -- the peer's sessions -----------------------------------------------------------------------------------------------

/// The peer has given up on these, or it would have opened them again. Whatever placement they are of, they end.
void link_state::close_orphans() {
  constexpr auto any_epoch = std::numeric_limits<std::uint32_t>::max();
  for (auto& o : sessions.take_orphans())
    if (o.generating)
      self->send(offered.sessions, call<cancel>{header{o.id, any_epoch, 0, 0, role::session_host, {}}, {}, sink{self}});
    else
      self->send(offered.verify, call<close_session>{header{o.id, any_epoch, 0, 0, role::verifier, {}}, {}, sink{self}});
}

} // namespace virga
