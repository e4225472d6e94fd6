#include "actors/session/relay.hpp"

#include "actors/answers.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace virga {

void relay_state::start(relay_options o) {
  options_ = std::move(o);
  asker_ = asker{options_.hdr, options_.client};
  begun_ = self->clock().now();
  if (options_.hdr.deadline <= begun_)
    return fail(ec::deadline_exceeded, "the deadline passed before the request began");
  self->delayed_send(self, options_.hdr.deadline - begun_, tick_atom::value);
  ids_ = std::exchange(options_.request.answered, {});
  ask();
}

header relay_state::placement() const {
  auto hdr = options_.hdr;
  hdr.epoch += attempts_ * (options_.across_link ? link_epochs : site_epochs);
  return hdr;
}

void relay_state::ask() {
  if (ended_)
    return;
  ++attempts_;
  waiting_ = true;
  auto request = options_.request;
  request.answered = ids_;
  self->send(options_.peer, call<generate>{placement(), std::move(request), sink{self}});
}

void relay_state::on_answer(answer& a) {
  wire_.bytes_up += a.wire.bytes_up;
  wire_.bytes_down += a.wire.bytes_down;
  if (ended_ || !waiting_ || a.hdr.epoch != placement().epoch)
    return;
  if (auto* piece = std::get_if<tokens>(&a.body))
    on_tokens(*piece);
  else if (auto* end = std::get_if<outcome>(&a.body))
    on_outcome(std::move(*end));
  else if (auto* why = std::get_if<failure>(&a.body))
    on_failure(*why);
}

void relay_state::on_tokens(tokens& piece) {
  auto again = piece.position < ids_.size() || (piece.ids.empty() && tail_);
  if (again && options_.config.planted != planted_bug::accepted_duplicate)
    return;
  if (piece.position > ids_.size())
    return retry_or_fail({ec::stale_position, ids_.size(), "a token was lost on the way"});
  tail_ = piece.ids.empty();
  ids_.insert(ids_.end(), piece.ids.begin(), piece.ids.end());
  retries_.progressed();
  asker_.tell(std::move(piece));
}

void relay_state::on_outcome(outcome end) {
  if (end.error == ec::none && end.completion_tokens != ids_.size())
    return retry_or_fail({ec::stale_position, ids_.size(), "a token was lost on the way"});
  waiting_ = false;
  end.attempts += attempts_ - 1;
  finish(std::move(end));
}

/// Of nodes of one site another may take what one that ends refuses.
void relay_state::on_failure(const failure& why) {
  if (curable(why.code) || (why.code == ec::shutting_down && !options_.across_link))
    return retry_or_fail(why);
  waiting_ = false;
  fail(why.code, why.text, why.detail);
}

void relay_state::retry_or_fail(const failure& why) {
  waiting_ = false;
  if (!retries_.again(self->clock().now(), options_.config.patience, options_.hdr.deadline))
    return fail(why.code, why.text, why.detail);
  spdlog::info("request {} session {} lost its peer ({}); asking again", options_.request.request_id,
               to_string(options_.hdr.session), to_string(why.code));
  self->delayed_send(self, retry_delay, begin_atom::value);
}

void relay_state::on_deadline() {
  if (!ended_)
    fail(ec::deadline_exceeded, "the deadline passed after " + std::to_string(ids_.size()) + " tokens");
}

void relay_state::on_cancel() {
  if (!ended_)
    fail(ec::cancelled, "the client went away");
}

/// Its asker is a relay too, and has found it again.
void relay_state::resume(call<generate>& c) {
  if (!asker_.returned(c, ids_.size()))
    fail(ec::bad_request, "answered: it has tokens that this session never told");
}

void relay_state::fail(ec code, std::string text, std::uint64_t detail) {
  if (attempts_ > 0)  // also between two askings: the peer's session may live
    self->send(options_.peer, call<cancel>{placement(), cancel{}, sink{self}});
  outcome end;
  end.error = code;
  end.error_text = std::move(text);
  end.error_detail = detail;
  end.how = options_.request.how;
  end.attempts = attempts_;
  finish(std::move(end));
}

/// The way to the session is part of its account: what neither computed nor queued was the link.
void relay_state::finish(outcome end) {
  ended_ = true;
  auto took = static_cast<std::uint64_t>(
    std::chrono::duration_cast<std::chrono::microseconds>(self->clock().now() - begun_).count());
  auto elsewhere = end.queue_us + end.compute_us + end.link_us;
  end.link_us += took - std::min(took, elsewhere);
  if (options_.across_link)
    end.round_trips += attempts_;  // the prompt out, the answer back
  end.bytes_up += wire_.bytes_up;
  end.bytes_down += wire_.bytes_down;
  end.completion_tokens = static_cast<std::uint32_t>(ids_.size());
  asker_.end(std::move(end));
  self->quit();
}

session::behavior_type make_relay(session::stateful_pointer<relay_state> self, relay_options options) {
  auto& st = self->state;
  st.start(std::move(options));
  return {[&st](answer& a) { st.on_answer(a); },
          [&st](begin_atom) { st.ask(); },
          [&st](tick_atom) { st.on_deadline(); },
          [&st](call<cancel>&) { st.on_cancel(); },
          [&st](call<generate>& c) { st.resume(c); }};
}

} // namespace virga
