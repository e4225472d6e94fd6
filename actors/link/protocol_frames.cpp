// The frames of a link that is connected: what comes in, what goes out. protocol.cpp has the states.
#include "actors/link/protocol.hpp"

#include "messages/type_ids.hpp"

#include <algorithm>

namespace virga {

namespace {

bool may_be_sliced(const received& r) {
  return r.refused || std::holds_alternative<verify>(r.value.body) || std::holds_alternative<verified>(r.value.body);
}

bool is_request(const payload& body) {
  auto i = body.index();
  return i >= payload{generate{}}.index() && i <= payload{cancel{}}.index();
}

bool has_answer(const payload& body) {
  return is_request(body) && !std::holds_alternative<cancel>(body) && !std::holds_alternative<close_session>(body);
}

} // namespace

// -- receiving ---------------------------------------------------------------------------------------------------------

void link_protocol::feed(std::span<const std::byte> bytes, time_point now) {
  auto all = bytes.size();
  while (!bytes.empty() && connection_ != 0) {
    auto part = bytes.first(std::min(bytes.size(), frame_reader::feed_bytes));
    bytes = bytes.subspan(part.size());
    if (auto e = decoder_->feed(part))
      return broken(e, now);
    while (connection_ != 0) {
      auto r = decoder_->next(now);
      if (!r)
        return broken(r.error(), now);
      if (!*r)
        break;
      take(**r, now);
    }
  }
  if (connection_ == 0)
    return;
  meter_.received(all, decoder_->incomplete(), now);
  grant();
}

void link_protocol::take(received& r, time_point now) {
  auto& f = r.value;
  if (!in_turn(r))
    return;
  if (state_ == state::handshaking)
    return greeted(f.body, now);
  meter_.session_bytes(f.hdr.session, 0, r.wire_bytes);
  if (r.refused) {
    ++counters_.refused_frames;
    actions_.push_back(refused_frame{f.hdr, std::move(*r.refused)});
  } else if (f.hdr.target == role::node) {
    own_frame(f.body, now);
  } else if (for_running_role(f)) {
    actions_.push_back(deliver_frame{std::move(f)});
  }
}

/// Each message of a connection is acted on once and in its turn: a copy or a stray one is counted and dropped.
bool link_protocol::in_turn(const received& r) {
  switch (sequence_.accept(r.value.sequence, may_be_sliced(r))) {
    case sequence_check::verdict::good: return true;
    case sequence_check::verdict::duplicate:
      ++counters_.duplicates;
      return options_.planted == planted_bug::accepted_duplicate;
    case sequence_check::verdict::out_of_order: ++counters_.out_of_order; return false;
  }
  return false;
}

/// The first frame of the peer: its hello, or why it refused ours.
void link_protocol::greeted(payload& body, time_point now) {
  auto& peer = options_.names.peer_node;
  if (auto no = std::get_if<failure>(&body)) {
    ++counters_.refusals;
    return end(peer + " refused: " + no->text, now, true);
  }
  auto hi = std::get_if<hello>(&body);
  if (!hi)
    return end(peer + " did not say hello first", now);
  if (auto sentence = refusal(options_.names, *hi, certificate_name_))
    return refuse_peer(std::move(*sentence), now);
  state_ = state::up;
  failures_ = 0;
  next_ping_ = now;
  ++counters_.connections;
  actions_.push_back(peer_up{std::move(*hi)});
}

void link_protocol::own_frame(payload& body, time_point now) {
  if (auto x = std::get_if<ping>(&body)) {
    push_own(pong{x->stamp});
  } else if (auto y = std::get_if<pong>(&body)) {
    auto sent = time_point{std::chrono::nanoseconds{static_cast<std::int64_t>(y->stamp)}};
    if (sent <= now && now - sent <= options_.dead_after)
      meter_.round_trip(now - sent);
  } else if (auto c = std::get_if<credit>(&body)) {
    // A peer cannot grant more than the window, whatever it says.
    auto more = static_cast<std::int64_t>(std::min(c->bytes, link_defaults::window_bytes));
    credit_ = std::min(credit_ + more, static_cast<std::int64_t>(link_defaults::window_bytes));
    meter_.credited(c->bytes, now);
  } else if (auto s = std::get_if<status>(&body)) {
    actions_.push_back(peer_roles{std::move(s->roles)});
  } else if (auto no = std::get_if<failure>(&body); no && no->code == ec::handshake_refused) {
    ++counters_.refusals;
    end(options_.names.peer_node + " refused: " + no->text, now, true);
  }
}

/// A request for an instance that no longer runs must not reach its successor, which knows nothing of it.
bool link_protocol::for_running_role(const frame& f) {
  if (!is_request(f.body) || f.hdr.incarnation == 0)
    return true;
  auto& roles = options_.names.own.roles;
  auto i = std::find_if(roles.begin(), roles.end(), [&](auto& r) { return r.kind == f.hdr.target; });
  if (i == roles.end() || i->incarnation == f.hdr.incarnation)
    return true;
  ++counters_.stale_incarnation;
  if (has_answer(f.body))
    queue_.push({f.hdr, 0, priority::decode,
                 failure{ec::stale_incarnation, i->incarnation,
                         std::string{to_string(f.hdr.target)} + " of " + options_.names.own.node + " was restarted"}});
  return false;
}

// -- sending -----------------------------------------------------------------------------------------------------------

link_actions link_protocol::send(frame f, time_point now) {
  auto id = f.hdr.session;
  auto answered = has_answer(f.body);
  std::optional<failure> why;
  if (state_ != state::up)
    why = failure{ec::peer_unreachable, 0, options_.names.peer_node + " is not connected"};
  else
    why = queue_.push(std::move(f));
  if (why)
    actions_.push_back(undelivered{std::move(f), std::move(*why)});
  else if (answered)
    meter_.asked(id);
  return finish(now);
}

void link_protocol::push_own(payload body) {
  queue_.push({header{}, 0, priority::control, std::move(body)});
}

/// Gives the sender back what was consumed: slices count as they arrive, before their message is whole.
void link_protocol::grant() {
  auto& bytes = decoder_->counters().bytes;
  auto consumed = bytes[1] + bytes[2] - granted_;
  if (consumed < link_defaults::credit_step_bytes)
    return;
  granted_ += consumed;
  push_own(credit{consumed});
}

/// Hands the pipe what it may have: about one slice unsent, so that what is urgent never waits behind more.
void link_protocol::pump(time_point now) {
  auto slice = slice_bytes();
  while (connection_ != 0 && unsent_ < slice) {
    auto u = queue_.pop(now, slice, credit_);
    if (!u)
      break;
    auto size = u->data.size();
    unsent_ += size;
    if (u->costs_credit) {
      credit_ -= static_cast<std::int64_t>(size);
      meter_.sent(size);
      meter_.session_bytes(u->session, size, 0);
    }
    actions_.push_back(send_bytes{connection_, std::move(u->data)});
  }
  for (auto& u : queue_.take_undelivered()) {
    if (has_answer(u.message.body))
      meter_.answered(u.message.hdr.session, true);
    actions_.push_back(std::move(u));
  }
}

std::size_t link_protocol::slice_bytes() const {
  auto rate = meter_.send_rate();
  if (rate == 0)
    return link_defaults::slice_bytes_unmeasured;
  auto bytes = rate * static_cast<std::uint64_t>(link_defaults::slice_time.count()) / 1000;
  return std::clamp<std::size_t>(bytes, link_defaults::slice_bytes_min, limits::slice_bytes);
}

} // namespace virga
