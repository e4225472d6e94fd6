// The rounds of a verifier: rows in, steps of the engine, rows out, and room for them when memory runs out.
#include "actors/answers.hpp"
#include "actors/guarded.hpp"
#include "actors/roles/draft.hpp"
#include "actors/roles/verifier.hpp"
#include "models/wire_rows.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace virga {

namespace {

/// Results that a session's verifier remembers: as many calls as a device has on their way, so that after a lost connection none of
/// them runs again. Chunks have no rows and rounds a few; between the parts of a pipeline chunks have all, and of these only the last
/// is kept.
constexpr std::size_t most_results = 8;
constexpr std::uint32_t most_result_rows = 64;  ///< of all that are kept beside the last one

} // namespace

std::optional<failure> verifier_state::refuse(const held& h, const call<verify>& c) const {
  auto& rows = c.body.rows;
  if (c.hdr.epoch < h.hdr.epoch)
    return failure{ec::stale_epoch, h.hdr.epoch, "a newer placement of the session is open"};
  if (c.hdr.epoch > h.hdr.epoch)
    return failure{ec::unknown_session, 0, "this placement of the session was not opened"};
  if (rows.type != h.wire || rows.cols != options.config.hidden || rows.rows == 0)
    return failure{ec::bad_tensor, 0,
                   "rows are " + std::to_string(rows.rows) + " x " + std::to_string(rows.cols) + " "
                     + std::string{to_string(rows.type)} + ", expected n x " + std::to_string(options.config.hidden)
                     + " " + std::string{to_string(h.wire)}};
  return std::nullopt;
}

void verifier_state::run(call<verify>& c) {
  auto it = sessions_.find(c.hdr.session);
  if (it == sessions_.end() || is_foreign(c.hdr.session, c.from))
    return fail_to(c.reply, c.hdr, ec::unknown_session, "the verifier does not hold this session: open it again");
  auto& h = it->second;
  if (auto f = refuse(h, c))
    return reply_to(c.reply, c.hdr, std::move(*f));
  h.hdr.deadline = c.hdr.deadline;
  for (auto& [unit, result] : h.results)
    if (unit == c.hdr.unit && result.base == c.body.base)
      return reply_to(c.reply, c.hdr, result);
  if (h.running.count(c.hdr.unit) != 0) {  // a repeat of a round that still runs
    h.running[c.hdr.unit].reply = c.reply;
    return;
  }
  auto rows = guarded([&] { return models::converted(std::move(c.body.rows), options.config.compute); });
  if (!rows)
    return reply_to(c.reply, c.hdr, to_failure(rows.error()));
  c.body.rows = std::move(*rows);
  const bool behind = h.waiting();
  auto& r = h.running[c.hdr.unit];
  r = {c.hdr, c.reply, std::move(c.body)};
  r.waits = behind;
  if (!behind)
    send_steps(h, r);
}

/// A long prompt in several steps, so that others get their turn between them.
void verifier_state::send_steps(held& h, round& r) {
  for (auto& piece : in_pieces(r.ask, options.config.chunk_rows)) {
    engine_step step;
    step.owner = options.incarnation;
    step.first_stage = 0;
    step.last_stage = options.config.stage_count - 1;
    step.base = piece.base;
    step.want.rows = piece.want;
    ++r.steps;
    auto of_step = r.hdr;
    of_step.unit = ++h.last_step;
    h.steps[of_step.unit] = {r.hdr.unit, piece.rows.rows, self->clock().now()};
    step.rows = std::move(piece.rows);
    self->send(model, call<engine_step>{of_step, std::move(step), sink{self}});
  }
}

void verifier_state::on_answer(answer& a) {
  if (a.hdr.session == session_id{})
    return on_warm_up(a);
  auto it = sessions_.find(a.hdr.session);
  if (it == sessions_.end() || it->second.hdr.epoch != a.hdr.epoch)
    return;
  auto& h = it->second;
  auto at = h.steps.find(a.hdr.unit);
  if (at == h.steps.end())
    return;
  const auto ran = at->second;
  auto running = h.running.find(ran.unit);
  h.steps.erase(at);
  if (running == h.running.end())
    return;
  auto& r = running->second;
  auto why = take(h, r, ran, a);
  if (!why && r.steps > 0)
    return;
  if (why && why->code == ec::out_of_pages && make_room(a.hdr.session)) {
    forget_steps(h, r);
    return send_steps(h, r);
  }
  if (why && waits(a.hdr.session, r, why->code))
    return forget_steps(h, r);
  auto reply = r.reply;
  a.hdr.unit = r.hdr.unit;
  h.running.erase(running);
  if (why) {
    h.length = 0;  // whatever is left of the cache, nothing of it is sure
    return reply_to(reply, a.hdr, std::move(*why));
  }
  reply_to(reply, a.hdr, h.results.back().second);
}

void verifier_state::forget_steps(held& h, round& r) {
  std::erase_if(h.steps, [&](auto& entry) { return entry.second.unit == r.hdr.unit; });
  r.steps = 0;
  r.out = {};
  r.times = {};
}

bool verifier_state::held::waiting() const {
  return std::ranges::any_of(running, [](auto& entry) { return entry.second.waits; });
}

bool verifier_state::held::holds_memory() const {
  return length > 0 || std::ranges::any_of(running, [](auto& entry) { return !entry.second.waits; });
}

/// Whether the round may wait for memory that others hold until they end; the chunks behind one that waits do as well.
bool verifier_state::waits(const session_id& needs, round& r, ec why) const {
  if (why != ec::out_of_pages && !(why == ec::stale_position && sessions_.at(needs).waiting()))
    return false;
  r.waits = std::ranges::any_of(sessions_, [&](auto& entry) { return entry.first != needs && entry.second.holds_memory(); });
  return r.waits;
}

/// A session has ended: those that wait for its memory try again, in the order of their rounds, and may wait again.
void verifier_state::wake_waiting() {
  for (auto& [id, h] : sessions_)
    for (auto& [unit, r] : h.running)
      if (std::exchange(r.waits, false))
        send_steps(h, r);
}

/// The newest session that holds a cache and is not older than the one in need loses it. @returns false when there is
/// none
bool verifier_state::make_room(const session_id& needs) {
  auto own = sessions_.at(needs).opened_as;
  auto victim = sessions_.end();
  for (auto it = sessions_.begin(); it != sessions_.end(); ++it)
    if (auto& h = it->second; h.opened_as > own && h.holds_memory()
                              && (victim == sessions_.end() || h.opened_as > victim->second.opened_as))
      victim = it;
  if (victim == sessions_.end())
    return false;
  auto& h = victim->second;
  spdlog::info("session {} loses its cache at {}: an older one needs the memory", to_string(victim->first), options.node);
  h.length = 0;
  h.results.clear();
  auto of_engine = h.hdr;
  of_engine.incarnation = options.incarnation;
  self->send(model, call<close_session>{of_engine, close_session{}, sink{self}});  // its next round is ec::stale_position
  return true;
}

/// A chunk that came before the one ahead of it was done has waited for its own prompt: were that a wait of the cloud's, chunks
/// would grow with the queue that they make.
work_times verifier_state::waited_for_others(held& h, const running_step& s, work_times times) {
  auto own = std::chrono::duration_cast<std::chrono::microseconds>(h.step_done - s.since).count();
  times.queue_us -= std::min(times.queue_us, static_cast<std::uint64_t>(std::max<std::int64_t>(own, 0)));
  h.step_done = self->clock().now();
  return times;
}

/// One step of a round came back; the last one makes its result.
std::optional<failure> verifier_state::take(held& h, round& r, const running_step& s, answer& a) {
  if (auto* why = std::get_if<failure>(&a.body)) {
    if (why->code == ec::cancelled)  // make_room() took its cache
      return failure{ec::stale_position, 0, "an older session needed the memory: all rows again"};
    return std::move(*why);
  }
  auto* done = std::get_if<stepped>(&a.body);
  if (done == nullptr)
    return failure{ec::internal, 0, "the engine answered a step with something else"};
  r.times.queue_us += done->times.queue_us;
  r.times.compute_us += done->times.compute_us;
  monitor_.on_step(s.rows, done->batch_rows, waited_for_others(h, s, done->times));
  if (done->result.rows.rows > 0)
    append_rows(r.out, done->result.rows);
  if (--r.steps > 0)
    return std::nullopt;
  auto rows = guarded([&] { return models::converted(std::move(r.out), h.wire); });
  if (!rows)
    return to_failure(rows.error());
  h.length = r.ask.base + r.ask.rows.rows;
  const auto chunk = monitor_.suggest(models::row_bytes(h.wire, options.config.hidden), r.ask.up_bytes_per_s, h.prompt_rows);
  h.results.emplace_back(r.hdr.unit, verified{r.ask.base, std::move(*rows), r.times, done->batch_rows, chunk});
  std::uint32_t kept = 0;
  for (auto& [unit, result] : h.results)
    kept += result.rows.rows;
  while (h.results.size() > 1 && (h.results.size() > most_results || kept - h.results.back().second.rows.rows > most_result_rows)) {
    kept -= h.results.front().second.rows.rows;
    h.results.pop_front();
  }
  return std::nullopt;
}

} // namespace virga
