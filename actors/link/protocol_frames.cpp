// The frames of a link that is connected: what comes in, what goes out. protocol.cpp has the states.
#include "actors/link/protocol.hpp"

#include "messages/tensor_of.hpp"
#include "messages/type_ids.hpp"

#include <algorithm>

namespace virga {

namespace {

bool may_be_sliced(const received& r) { return r.refused || tensor_of(r.value.body) != nullptr; }

bool is_request(const payload& body) {
  auto i = body.index();
  return i >= payload{generate{}}.index() && i <= payload{cancel{}}.index();
}

bool has_answer(const payload& body) {
  return is_request(body) && !std::holds_alternative<cancel>(body) && !std::holds_alternative<close_session>(body);
}

} // namespace

// -- receiving ---------------------------------------------------------------------------------------------------------

link_actions link_protocol::on_received(std::size_t bytes, time_point now) {
  last_received_ = now;
  decoder_->filled(bytes);
  while (connection_ != 0) {
    auto r = decoder_->next(now);
    if (!r) {
      broken(r.error(), now);
    } else if (*r) {
      take(**r, now);
    } else {
      meter_.received(bytes, decoder_->incomplete(), now);
      grant(now, false);
      break;
    }
  }
  return finish(now);
}

void link_protocol::take(received& r, time_point now) {
  auto& f = r.value;
  if (!in_turn(r, now))
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

/// Each message of a connection is acted on once and in its turn. A copy is counted and dropped. One out of turn means that
/// another was overtaken or lost, and somebody waits for that: the connection ends, and what is under way begins again.
bool link_protocol::in_turn(const received& r, time_point now) {
  switch (sequence_.accept(r.value.sequence, may_be_sliced(r))) {
    case sequence_check::verdict::good: return true;
    case sequence_check::verdict::duplicate:
      ++counters_.duplicates;
      return options_.planted == planted_bug::accepted_duplicate;
    case sequence_check::verdict::out_of_order:
      ++counters_.out_of_order;
      if (options_.planted != planted_bug::dropped_stray)
        end(options_.names.peer_node + " sent message " + std::to_string(r.value.sequence) + " out of turn", now);
      return false;
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
  if (std::exchange(untold_roles_, false) && options_.planted != planted_bug::untold_roles)
    push_own(status{options_.names.own.roles});
  measure_rate();
}

/// Nothing else has told how fast the link is: the first upload shall not have to find out.
void link_protocol::measure_rate() {
  constexpr std::uint32_t piece = link_defaults::slice_bytes_min;
  if (window_.rate() == 0)
    for (auto left = link_defaults::window_bytes_unmeasured; left >= piece; left -= piece)
      push_own(padding{piece});
}

void link_protocol::own_frame(payload& body, time_point now) {
  if (auto x = std::get_if<ping>(&body)) {
    grant(now, true);
    push_own(pong{x->stamp});
  } else if (auto y = std::get_if<pong>(&body)) {
    auto sent = time_point{std::chrono::nanoseconds{static_cast<std::int64_t>(y->stamp)}};
    if (sent <= now && now - sent <= options_.dead_after) {
      meter_.round_trip(now - sent);
      window_.round_trip(now - sent, now);
    }
  } else if (auto c = std::get_if<credit>(&body)) {
    window_.credited(*c);
    meter_.send_rate(window_.rate());
    if (window_.wants_ping())
      ask_for_life(now);
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
  else {
    if (is_end(f.body))
      keep_unit();
    why = queue_.push(std::move(f));
  }
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
void link_protocol::grant(time_point now, bool all) {
  auto& bytes = decoder_->counters().bytes;
  auto consumed = bytes[1] + bytes[2] - granted_;
  auto bulk = bytes[2] - granted_bulk_;
  if (consumed < (all || bulk > 0 ? 1 : link_defaults::credit_bytes))
    return;
  granted_ += consumed;
  counters_.bytes_in += consumed;
  granted_bulk_ += bulk;
  auto clock = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  push_own(credit{consumed, bulk, static_cast<std::uint64_t>(clock)});
}

std::span<const std::byte> link_protocol::outgoing(time_point now) {
  if (connection_ == 0 || (!unit_waits() && !next_unit(now)))
    return {};
  const auto head = unit_.head.size();
  return unit_sent_ < head ? std::span{unit_.head}.subspan(unit_sent_) : unit_.data.subspan(unit_sent_ - head);
}

bool link_protocol::next_unit(time_point now) {
  auto u = queue_.pop(now, window_.slice_bytes(), window_.open_for(now));
  unit_ = u ? std::move(u->wire) : wire_unit{};
  unit_sent_ = 0;
  if (!u && queue_.empty())
    window_.ran_dry();
  if (u && u->costs_credit) {
    window_.sent(unit_.size(), u->urgency, now);
    counters_.bytes_out += unit_.size();
    meter_.session_bytes(u->session, unit_.size(), 0);
  }
  return u.has_value();
}

/// A cancel takes messages out of the queue; what has begun to leave leaves whole.
void link_protocol::keep_unit() {
  unit_.head.insert(unit_.head.end(), unit_.data.begin(), unit_.data.end());
  unit_.data = {};
}

link_actions link_protocol::on_sent(std::size_t bytes, time_point now) {
  unit_sent_ += bytes;
  return finish(now);
}

/// What could not be encoded, or was cancelled in time.
void link_protocol::return_undelivered() {
  for (auto& u : queue_.take_undelivered()) {
    if (has_answer(u.message.body))
      meter_.answered(u.message.hdr.session, true);
    actions_.push_back(std::move(u));
  }
}

} // namespace virga
