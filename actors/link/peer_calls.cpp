#include "actors/link/peer_calls.hpp"

#include <caf/actor_cast.hpp>
#include <caf/mailbox_element.hpp>

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

/// Runs on in the context of the actor that carries this: a link's own thread makes no detour. The value itself is the mailbox's
/// element: as a caf::message it would be copied before the receiver may change it, with all its rows.
template <class To, class T>
void peer_calls::post(const To& to, T message) const {
  if (auto* target = caf::actor_cast<caf::abstract_actor*>(to))
    target->enqueue(caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, std::move(message)), self_->context());
}

sink peer_calls::me() const { return caf::actor_cast<sink>(caf::actor_cast<caf::strong_actor_ptr>(self_)); }

// -- this node's calls -------------------------------------------------------------------------------------------------

bool peer_calls::full(const header& hdr, const sink& reply) {
  if (calls_.size() < link_defaults::outstanding_calls)
    return false;
  failure why{ec::queue_full, link_defaults::queue_retry_ms, "too many calls wait for " + peer_};
  post(reply, answer{hdr, std::move(why), true, {}});
  return true;
}

void peer_calls::remember(const header& hdr, const sink& reply) {
  if (!calls_.insert_or_assign(key_of(hdr), waiting{hdr, reply}).second)
    way_.repeated(hdr.session);
}

void peer_calls::answered(const header& hdr, answer_body body) {
  auto i = calls_.find(key_of(hdr));
  if (i == calls_.end()) {
    ++counts.late_answers;
    return;
  }
  auto last = !std::holds_alternative<tokens>(body);
  auto wire = way_.answered(hdr.session, last);
  post(i->second.reply, answer{i->second.hdr, std::move(body), last, wire});
  if (last)
    calls_.erase(i);
}

void peer_calls::answer_peer(answer& a) {
  auto send = [&](auto& body) {
    using body_type = std::decay_t<decltype(body)>;
    if constexpr (std::is_constructible_v<payload, body_type>)
      way_.send_peer({a.hdr, 0, {}, std::move(body)});
    else
      fail_peer(a.hdr, ec::internal, "an engine's answer cannot cross a link");
  };
  if (a.last && a.hdr.target == role::session_host)
    sessions_.closed(a.hdr.session, a.hdr.epoch);
  std::visit(send, a.body);
}

void peer_calls::fail(ec code, const std::string& text, time_point due) {
  std::vector<header> failed;
  for (auto& entry : calls_)
    if (auto& hdr = entry.second.hdr; due == time_point::max() || (hdr.deadline != time_point{} && hdr.deadline < due))
      failed.push_back(hdr);
  for (auto& hdr : failed)
    answered(hdr, failure{code, 0, text});
}

// -- the peer's calls --------------------------------------------------------------------------------------------------

/// A session belongs to the peer that opened it: on another way nobody can verify, close or cancel it.
template <class T, class Role>
void peer_calls::request(const header& hdr, T& body, role kind, const Role& to) {
  auto refuse = [&](ec code, std::string text) {
    if (is_answered<T>)
      fail_peer(hdr, code, std::move(text));
  };
  if (hdr.target != kind || !to)
    return refuse(ec::unsupported, std::string{to_string(hdr.target)} + " is not offered to " + peer_);
  if (sessions_.newest_epoch(hdr.session) > hdr.epoch) {
    ++counts.stale_epochs;
    return refuse(ec::stale_epoch, "a newer placement of session " + to_string(hdr.session) + " is open");
  }
  if constexpr (opens_session<T>) {
    sessions_.opened(hdr.session, hdr.epoch, std::is_same_v<T, generate>);
  } else if (!sessions_.knows(hdr.session)) {
    ++counts.foreign_sessions;
    return refuse(ec::unknown_session, "session " + to_string(hdr.session) + " was not opened by " + peer_);
  }
  if constexpr (std::is_same_v<T, close_session>)
    sessions_.closed(hdr.session);
  post(to, call<T>{hdr, std::move(body), me(), peer_});
}

void peer_calls::fail_peer(const header& hdr, ec code, std::string text) {
  way_.send_peer({hdr, 0, {}, failure{code, 0, std::move(text)}});
}

void peer_calls::deliver(frame& message) {
  auto& hdr = message.hdr;
  auto take = [&](auto& body) {
    using body_type = std::decay_t<decltype(body)>;
    if constexpr (is_answer<body_type>)
      answered(hdr, std::move(body));
    else if constexpr (is_for_sessions<body_type>)
      request(hdr, body, role::session_host, offered_.sessions);
    else if constexpr (is_request<body_type>)
      request(hdr, body, role::verifier, offered_.verify);
    else
      fail_peer(hdr, ec::unsupported, "no role of this node takes such a message");
  };
  std::visit(take, message.body);
}

void peer_calls::refused(const header& hdr, failure why) {
  if (calls_.count(key_of(hdr)) > 0)
    answered(hdr, std::move(why));
  else
    fail_peer(hdr, why.code, std::move(why.text));
}

/// @param peer_hears whether there is a way to tell it
void peer_calls::undelivered(frame& message, failure why, bool peer_hears) {
  if (message.body.index() < first_answer)
    return answered(message.hdr, std::move(why));
  ++counts.lost_answers;
  if (peer_hears && !std::holds_alternative<failure>(message.body))
    fail_peer(message.hdr, why.code, std::move(why.text));
}

// -- the peer's sessions -----------------------------------------------------------------------------------------------

void peer_calls::lose(time_point now) {
  lost_since_ = now;
  sessions_.lose();
}

time_point peer_calls::orphans_due() const {
  return sessions_.any_orphans() ? lost_since_ + link_defaults::session_keep : time_point::max();
}

/// Whatever placement they are of, they end.
void peer_calls::close_orphans(time_point now) {
  if (now < orphans_due())
    return;
  constexpr auto any_epoch = std::numeric_limits<std::uint32_t>::max();
  for (auto& o : sessions_.take_orphans())
    if (o.generating)
      post(offered_.sessions, call<cancel>{header{o.id, any_epoch, 0, 0, role::session_host, {}}, {}, me(), peer_});
    else
      post(offered_.verify, call<close_session>{header{o.id, any_epoch, 0, 0, role::verifier, {}}, {}, me(), peer_});
}

} // namespace virga
