#include "actors/roles/drafter.hpp"

#include "actors/answers.hpp"
#include "actors/guarded.hpp"
#include "messages/limits.hpp"
#include "models/wire_rows.hpp"

#include <algorithm>

namespace virga {

namespace {

/// The first call of a placement opens it.
constexpr std::uint32_t open_unit = 1;

std::uint64_t microseconds(steady_clock::duration d) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(d).count()));
}

} // namespace

drafter_state::drafter_state(drafter_actor::pointer self_ptr) : self(self_ptr) {}

void drafter_state::set(drafter_options o) {
  options = std::move(o);
  auto& mine = options.config;
  if (mine.input_stages == 0)
    mine.input_stages = mine.stage_count - 1;
  pace_.emplace(mine.draft, models::row_bytes(wire(), mine.hidden));
}

void drafter_state::begin(call<complete>& c) {
  auto& mine = options.config;
  auto request_id = c.body.request_id;
  auto context = mine.view.context > 0 ? mine.view.context : UINT32_MAX;
  work fresh{c.hdr, c.reply, {std::move(c.body), mine.draft, {mine.input_stages - 1, mine.stage_count - 1, context}}};
  if (auto old = works_.find(c.hdr.session); old != works_.end()) {
    fresh.bookkeeping.take_over(old->second.bookkeeping);
    fresh.resumes = fresh.bookkeeping.fed() > 0;
    works_.erase(old);
  }
  auto& w = works_.emplace(c.hdr.session, std::move(fresh)).first->second;
  open(w, std::move(request_id));
  // A new session does not wait for `opened`: the first rows follow at once, and order is kept on the way. A refusal comes
  // before theirs.
  if (!w.resumes) {
    renew_plan(w);
    carry(w, w.bookkeeping.begin(0));
  }
}

void drafter_state::open(work& w, std::string request_id) {
  auto& mine = options.config;
  open_session ask{mine.model_digest, mine.first_layer, mine.last_layer, mine.hidden, wire(),
                   w.bookkeeping.prompt_tokens(), w.bookkeeping.max_tokens(), std::move(request_id)};
  ask.up_bytes_per_s = pace_->up_bytes_per_s();
  self->send(cloud, call<open_session>{call_header(w, open_unit), std::move(ask), sink{self}});
}

void drafter_state::on_opened(work& w, const opened& by) {
  w.told = true;
  pace_->on_suggestion(by.chunk_rows);
  if (std::exchange(w.resumes, false))
    carry(w, w.bookkeeping.begin(by.length));
}

void drafter_state::renew_plan(work& w) {
  auto plan = pace_->plan();
  const bool is_long = w.bookkeeping.prompt_tokens() > 2 * draft_pace::first_chunk_rows;
  if (!w.told && is_long && options.config.draft.chunk_rows == 0)
    plan.chunk_rows = std::min(plan.chunk_rows, draft_pace::first_chunk_rows);
  if (auto round = w.sent.find(w.bookkeeping.round_ticket()); round != w.sent.end()) {
    auto since = std::chrono::duration<double>(self->clock().now() - round->second).count();
    plan.due = pace_->due(w.bookkeeping.rows_expected(round->first), since);
  }
  w.bookkeeping.set(plan);
}

header drafter_state::call_header(work& w, std::uint32_t ticket) {
  auto hdr = w.hdr;
  hdr.unit = ticket;
  w.sent[ticket] = self->clock().now();
  return hdr;
}

/// @returns seconds since the call
double drafter_state::answered(work& w, std::uint32_t ticket) {
  auto at = w.sent.find(ticket);
  if (at == w.sent.end())
    return 0;
  auto took = std::chrono::duration<double>(self->clock().now() - at->second).count();
  w.sent.erase(at);
  return took;
}

void drafter_state::on_answer(answer& a) {
  auto it = works_.find(a.hdr.session);
  if (it == works_.end() || it->second.hdr.epoch != a.hdr.epoch || it->second.parked)
    return;
  auto& w = it->second;
  w.wire.bytes_up += a.wire.bytes_up;
  w.wire.bytes_down += a.wire.bytes_down;
  pace_->on_link(a.wire);
  if (a.hdr.unit != open_unit && !w.bookkeeping.expects(a.hdr.unit)) {
    w.sent.erase(a.hdr.unit);  // of a guess that nobody needs any more
    return;
  }
  renew_plan(w);
  if (auto* why = std::get_if<failure>(&a.body))
    return give_up(w, std::move(*why));
  if (auto* by = std::get_if<opened>(&a.body))
    return on_opened(w, *by);
  if (auto* done = std::get_if<stepped>(&a.body))
    return on_stepped(w, a.hdr.unit, *done);
  if (auto* rows = std::get_if<verified>(&a.body))
    return on_verified(w, a.hdr.unit, *rows);
  give_up(w, {ec::internal, 0, "an answer of the wrong kind"});
}

void drafter_state::on_stepped(work& w, std::uint32_t ticket, stepped& done) {
  auto took = answered(w, ticket);
  if (auto step = w.steps.extract(ticket))
    step.mapped() == draft_step::through_head ? pace_->on_draft_step(took) : pace_->on_input_step(took);
  w.end.queue_us += done.times.queue_us;
  w.end.compute_us += done.times.compute_us;
  carry(w, w.bookkeeping.on_device(ticket, done.result));
}

void drafter_state::count_round_trip(work& w, double took_s, const work_times& cloud_times) {
  auto busy = cloud_times.queue_us + cloud_times.compute_us;
  auto took = static_cast<std::uint64_t>(took_s * 1e6);
  ++w.end.round_trips;
  w.end.queue_us += cloud_times.queue_us;
  w.end.compute_us += cloud_times.compute_us;
  w.end.cloud_us += cloud_times.compute_us;
  w.end.link_us += took > busy ? took - busy : 0;
}

void drafter_state::on_verified(work& w, std::uint32_t ticket, verified& done) {
  auto took = answered(w, ticket);
  if (w.bookkeeping.ahead(ticket)) {
    took = 0;  // nothing waited for it yet
  } else {
    w.rows_at = self->clock().now();
    took = std::min(took, std::chrono::duration<double>(w.rows_at - w.verdict_at).count());  // it may have gone ahead
  }
  count_round_trip(w, took, done.times);
  pace_->on_suggestion(done.chunk_rows);
  auto expected = w.bookkeeping.rows_expected(ticket);
  if (expected == 0)
    return carry(w, w.bookkeeping.on_cloud(ticket, {}));
  if (done.rows.rows != expected || done.rows.cols != options.config.hidden || done.rows.type != wire())
    return give_up(w, {ec::bad_tensor, 0, "the cloud's rows have the wrong shape or dtype"});
  pace_->on_round(expected, done.batch_rows, done.times);
  auto rows = guarded([&] { return models::converted(std::move(done.rows), options.config.compute); });
  if (!rows)
    return give_up(w, to_failure(rows.error()));
  carry(w, w.bookkeeping.on_cloud(ticket, std::move(*rows)));
}

// -- actions -----------------------------------------------------------------------------------------------------------

void drafter_state::carry(work& w, device_session::actions todo) {
  if (todo.round)
    on_verdict(w, *todo.round);
  if (todo.piece)
    reply_to(w.reply, w.hdr, std::move(*todo.piece), false);
  if (todo.finish != finish_reason::none)
    return finish(w, todo.finish);
  for (auto& step : todo.device)
    ask_device(w, step);
  auto session = w.hdr.session;
  for (auto& round : todo.cloud)
    if (works_.contains(session))  // rows that cannot travel end the work
      ask_cloud(w, round);
}

void drafter_state::on_verdict(work& w, const draft_round& round) {
  pace_->on_verdict(round);
  auto since = std::max(w.rows_at, w.verdict_at);
  w.verdict_at = self->clock().now();
  w.end.verdict_us += microseconds(w.verdict_at - since);
  if (options.config.draft.most > 0 && w.end.drafts.size() < limits::draft_rounds)
    w.end.drafts.push_back(round);
}

void drafter_state::ask_device(work& w, device_session::device_work& todo) {
  todo.step.owner = options.incarnation;
  if (todo.drafts)
    w.steps[todo.ticket] = todo.input_alone ? draft_step::input_alone : draft_step::through_head;
  self->send(model, call<engine_step>{call_header(w, todo.ticket), std::move(todo.step), sink{self}});
}

void drafter_state::ask_cloud(work& w, device_session::cloud_work& todo) {
  auto rows = guarded([&] { return models::converted(std::move(todo.ask.rows), wire()); });
  if (!rows)
    return give_up(w, to_failure(rows.error()));
  todo.ask.rows = std::move(*rows);
  if (w.verdict_at != time_point{} && !todo.ahead)  // a round's that the answer waits for, no chunk of the prompt
    w.end.draft_us += microseconds(self->clock().now() - w.verdict_at);
  todo.ask.up_bytes_per_s = pace_->up_bytes_per_s();
  self->send(cloud, call<verify>{call_header(w, todo.ticket), std::move(todo.ask), sink{self}});
}

drafter_actor::behavior_type make_drafter(drafter_actor::stateful_pointer<drafter_state> self, drafter_options options,
                                          engine model, verifier cloud) {
  auto& st = self->state;
  st.set(std::move(options));
  st.model = std::move(model);
  st.cloud = std::move(cloud);
  return {[&st](call<complete>& c) { st.begin(c); },
          [&st](call<cancel>& c) { st.stop(c.hdr); },
          [&st](answer& a) { st.on_answer(a); },
          [&st](tick_atom) { st.expire(); }};
}

} // namespace virga
