#include "actors/roles/drafter.hpp"

#include "actors/answers.hpp"
#include "actors/curable.hpp"

#include <algorithm>

namespace virga {

namespace {

/// The first call of a placement opens it.
constexpr std::uint32_t open_unit = 1;

constexpr auto sweep = std::chrono::seconds(1);

} // namespace

drafter_state::drafter_state(drafter_actor::pointer self_ptr) : self(self_ptr) {}

void drafter_state::begin(call<complete>& c) {
  auto request_id = c.body.request_id;
  work fresh{c.hdr, c.reply, {std::move(c.body), options.sessions.prefill_rows}, 0, {}, {}, {}};
  if (auto old = works_.find(c.hdr.session); old != works_.end()) {
    fresh.bookkeeping.take_over(old->second.bookkeeping);
    fresh.resumes = fresh.bookkeeping.fed() > 0;
    works_.erase(old);
  }
  auto& w = works_.emplace(c.hdr.session, std::move(fresh)).first->second;
  auto& mine = options.config;
  open_session ask{mine.model_digest, mine.first_layer, mine.last_layer, mine.hidden, mine.compute,
                   w.bookkeeping.prompt_tokens(), w.bookkeeping.max_tokens(), std::move(request_id)};
  self->send(cloud, call<open_session>{next_unit(w), std::move(ask), sink{self}});
  // A new session does not wait for `opened`: the first rows follow at once, and order is kept on the way. A refusal comes
  // before theirs.
  if (!w.resumes)
    run_input(w);
}

void drafter_state::on_opened(work& w, const opened& by) {
  if (!std::exchange(w.resumes, false))
    return;
  w.bookkeeping.roll_back(by.length);
  run_input(w);
}

header drafter_state::next_unit(work& w) {
  auto hdr = w.hdr;
  hdr.unit = ++w.unit;
  return hdr;
}

void drafter_state::on_answer(answer& a) {
  auto it = works_.find(a.hdr.session);
  if (it == works_.end() || it->second.hdr.epoch != a.hdr.epoch || it->second.parked)
    return;
  auto& w = it->second;
  if (a.hdr.unit != w.unit && a.hdr.unit != open_unit)
    return;
  w.wire.bytes_up += a.wire.bytes_up;
  w.wire.bytes_down += a.wire.bytes_down;
  if (auto* why = std::get_if<failure>(&a.body))
    return give_up(w, std::move(*why));
  if (auto* by = std::get_if<opened>(&a.body))
    return on_opened(w, *by);
  if (auto* done = std::get_if<stepped>(&a.body))
    return on_stepped(w, *done);
  if (auto* rows = std::get_if<verified>(&a.body))
    return on_verified(w, *rows);
  give_up(w, {ec::internal, 0, "an answer of the wrong kind"});
}

void drafter_state::run_input(work& w) {
  auto in = w.bookkeeping.next_input();
  engine_step step;
  step.owner = options.incarnation;
  step.last_stage = options.config.stage_count - 2;
  step.base = in.base;
  step.tokens = std::move(in.ids);
  step.want.rows = rows_wanted::all;
  self->send(model, call<engine_step>{next_unit(w), std::move(step), sink{self}});
}

void drafter_state::on_stepped(work& w, stepped& done) {
  w.end.queue_us += done.times.queue_us;
  w.end.compute_us += done.times.compute_us;
  if (!done.result.choices.empty())
    return on_choice(w, done.result.choices.front());
  send_rows(w, std::move(done.result.rows));
}

void drafter_state::send_rows(work& w, tensor rows) {
  auto how = w.bookkeeping.on_input();
  w.sent_at = self->clock().now();
  self->send(cloud, call<verify>{next_unit(w), verify{how.base, how.want, std::move(rows)}, sink{self}});
}

void drafter_state::count_round_trip(work& w, const work_times& cloud_times) {
  auto took = std::chrono::duration_cast<std::chrono::microseconds>(self->clock().now() - w.sent_at).count();
  auto busy = static_cast<std::int64_t>(cloud_times.queue_us + cloud_times.compute_us);
  ++w.end.round_trips;
  w.end.queue_us += cloud_times.queue_us;
  w.end.compute_us += cloud_times.compute_us;
  w.end.link_us += static_cast<std::uint64_t>(std::max<std::int64_t>(0, took - busy));
}

void drafter_state::on_verified(work& w, verified& done) {
  count_round_trip(w, done.times);
  auto position = w.bookkeeping.on_deep();
  if (!position)
    return run_input(w);
  if (done.rows.rows != 1 || done.rows.cols != options.config.hidden || done.rows.type != options.config.compute)
    return give_up(w, {ec::bad_tensor, 0, "the cloud's rows have the wrong shape or dtype"});
  run_head(w, *position, std::move(done.rows));
}

void drafter_state::run_head(work& w, std::uint64_t position, tensor row) {
  engine_step step;
  step.owner = options.incarnation;
  step.first_stage = step.last_stage = options.config.stage_count - 1;
  step.base = position;
  step.rows = std::move(row);
  step.want.tokens = rows_wanted::last;
  step.want.choose = w.bookkeeping.choose();
  step.want.top_n = w.bookkeeping.choose().top_logprobs;
  step.want.context = w.bookkeeping.context();
  step.want.prompt_tokens = w.bookkeeping.context_prompt();
  self->send(model, call<engine_step>{next_unit(w), std::move(step), sink{self}});
}

void drafter_state::on_choice(work& w, const models::choice& chosen) {
  auto next = w.bookkeeping.on_choice(chosen.id);
  if (next.position) {
    tokens piece{*next.position, {chosen.id}, {}};
    if (w.bookkeeping.choose().logprobs)
      piece.logprobs.push_back(models::logprobs_of(chosen));
    reply_to(w.reply, w.hdr, std::move(piece), false);
  }
  if (next.finish != finish_reason::none)
    return finish(w, next.finish);
  run_input(w);
}

void drafter_state::finish(work& w, finish_reason reason) {
  w.end.how = options.config.serves;
  w.end.finish = reason;
  w.end.places = {{options.node, options.config.stages}, options.cloud};
  w.end.prompt_tokens = w.bookkeeping.prompt_tokens();
  w.end.completion_tokens = w.bookkeeping.emitted();
  release(w);
  caf::anon_send(w.reply, answer{w.hdr, std::move(w.end), true, w.wire});
  works_.erase(w.hdr.session);
}

void drafter_state::give_up(work& w, failure why) {
  auto code = why.code;
  caf::anon_send(w.reply, answer{w.hdr, std::move(why), true, w.wire});
  if (curable(code))
    return park(w, code);
  release(w);
  works_.erase(w.hdr.session);
}

/// The session places it again soon, or says that it has ended.
void drafter_state::park(work& w, ec why) {
  w.parked = true;
  if (why == ec::stale_position)  // a cache is shorter than it should be
    w.bookkeeping.roll_back(0);
  schedule();
}

void drafter_state::schedule() {
  if (!std::exchange(ticking_, true))
    self->delayed_send(self, sweep, tick_atom::value);
}

void drafter_state::expire() {
  ticking_ = false;
  auto now = self->clock().now();
  std::erase_if(works_, [&](auto& entry) {
    auto gone = entry.second.parked && entry.second.hdr.deadline < now;
    if (gone)
      release(entry.second);
    return gone;
  });
  if (std::ranges::any_of(works_, [](auto& entry) { return entry.second.parked; }))
    schedule();
}

void drafter_state::release(const work& w) {
  self->send(cloud, call<close_session>{w.hdr, close_session{}, sink{self}});
  auto of_engine = w.hdr;
  of_engine.incarnation = options.incarnation;
  self->send(model, call<close_session>{of_engine, close_session{}, sink{self}});
}

void drafter_state::stop(const header& hdr) {
  auto it = works_.find(hdr.session);
  if (it == works_.end() || it->second.hdr.epoch != hdr.epoch)
    return;
  if (!it->second.parked)
    return finish(it->second, finish_reason::none);
  release(it->second);
  works_.erase(it);
}

drafter_actor::behavior_type make_drafter(drafter_actor::stateful_pointer<drafter_state> self, drafter_options options,
                                          engine model, verifier cloud) {
  auto& st = self->state;
  st.options = std::move(options);
  st.model = std::move(model);
  st.cloud = std::move(cloud);
  return {[&st](call<complete>& c) { st.begin(c); },
          [&st](call<cancel>& c) { st.stop(c.hdr); },
          [&st](answer& a) { st.on_answer(a); },
          [&st](tick_atom) { st.expire(); }};
}

} // namespace virga
