#include "actors/roles/verifier.hpp"

#include "actors/answers.hpp"
#include "actors/guarded.hpp"
#include "actors/roles/draft.hpp"
#include "models/wire_rows.hpp"

#include <spdlog/spdlog.h>

namespace virga {

namespace {

constexpr auto sweep = std::chrono::seconds(1);

/// The warm-up ends at batches of so many rows, or at the first that takes so long; a node starts in the meantime.
constexpr std::uint32_t warm_up_rows = 2048;
constexpr std::uint64_t warm_up_step_us = 300'000;
constexpr auto warm_up_limit = std::chrono::seconds(20);

template <class T>
std::string text_of(const T& value) {
  if constexpr (std::is_arithmetic_v<T>)
    return std::to_string(value);
  else
    return std::string{value};
}

/// "<what>: the device has A, the cloud has B", when they differ.
template <class T>
std::optional<failure> differs(const char* what, const T& device, const T& cloud) {
  if (device == cloud)
    return std::nullopt;
  return failure{ec::model_mismatch, 0,
                 std::string{what} + ": the device has " + text_of(device) + ", the cloud has " + text_of(cloud)
                   + ": cut both from one model"};
}

} // namespace

verifier_state::verifier_state(verifier_actor::pointer self_ptr) : self(self_ptr) {}

std::optional<failure> verifier_state::mismatch(const open_session& asked) const {
  auto& mine = options.config;
  if (auto f = differs("model digest", asked.model_digest, mine.model_digest))
    return f;
  if (auto f = differs("first layer of the cloud", asked.first_layer, mine.first_layer))
    return f;
  if (auto f = differs("last layer of the cloud", asked.last_layer, mine.last_layer))
    return f;
  if (auto f = differs("hidden size", asked.hidden, mine.hidden))
    return f;
  if (!can_travel_as(asked.wire))
    return differs("dtype of the wire", to_string(asked.wire), to_string(mine.compute));
  return std::nullopt;
}

/// Rows travel as they are computed or narrower: a wider dtype means that the device computes in another one.
bool verifier_state::can_travel_as(dtype wire) const {
  return wire == options.config.compute || (wire != dtype::f64 && wire != dtype::f32)
         || (wire == dtype::f32 && options.config.compute == dtype::f64);
}

void verifier_state::open(call<open_session>& c) {
  if (auto f = mismatch(c.body))
    return reply_to(c.reply, c.hdr, std::move(*f));
  if (is_foreign(c.hdr.session, c.from))
    return fail_to(c.reply, c.hdr, ec::unknown_session, "another peer has opened this session");
  auto it = sessions_.find(c.hdr.session);
  if (it != sessions_.end() && it->second.hdr.epoch > c.hdr.epoch)
    return fail_to(c.reply, c.hdr, ec::stale_epoch, "a newer placement of the session is open", it->second.hdr.epoch);
  if (it == sessions_.end() && sessions_.size() >= options.max_sessions)
    return fail_to(c.reply, c.hdr, ec::queue_full, "the verifier holds as many sessions as it may", 1000);
  if (it != sessions_.end())
    for (auto& [unit, r] : it->second.running) {
      auto old = it->second.hdr;
      old.unit = unit;
      fail_to(r.reply, old, ec::stale_epoch, "a newer placement of the session was opened", c.hdr.epoch);
    }
  // A newer placement keeps the sequence: its first verify rolls the cache back to the base it names.
  auto length = it == sessions_.end() ? 0 : it->second.length;
  spdlog::info("request {} session {} placement {} opened at {}", c.body.request_id, to_string(c.hdr.session), c.hdr.epoch,
               options.node);
  auto opened_as = it == sessions_.end() ? ++last_opened_ : it->second.opened_as;
  sessions_[c.hdr.session] = held{c.hdr, {}, std::nullopt, 0, length, c.from, c.body.wire, opened_as};
  schedule();
  reply_to(c.reply, c.hdr,
           opened{length, std::uint64_t{c.body.prompt_tokens} + c.body.max_tokens,
                  monitor_.suggest(models::row_bytes(c.body.wire, c.body.hidden), c.body.up_bytes_per_s)});
}

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
  if (h.last && h.last_unit == c.hdr.unit && h.last->base == c.body.base)
    return reply_to(c.reply, c.hdr, *h.last);
  if (h.running.count(c.hdr.unit) != 0) {  // a repeat of a round that still runs
    h.running[c.hdr.unit].reply = c.reply;
    return;
  }
  auto rows = guarded([&] { return models::converted(std::move(c.body.rows), options.config.compute); });
  if (!rows)
    return reply_to(c.reply, c.hdr, to_failure(rows.error()));
  c.body.rows = std::move(*rows);
  auto& r = h.running[c.hdr.unit];
  r = {c.hdr.unit, c.body.base, c.body.rows.rows, c.reply, std::move(c.body)};
  send_steps(h, c.hdr, r);
}

/// A long prompt in several steps, so that others get their turn between them. Of all but the last nothing comes back,
/// unless every row is wanted.
void verifier_state::send_steps(held& h, const header& hdr, round& r) {
  const auto& body = r.ask;
  const auto most = options.config.chunk_rows > 0 ? options.config.chunk_rows : r.rows;
  for (std::uint32_t at = 0; at < r.rows; at += most) {
    engine_step step;
    step.owner = options.incarnation;
    step.first_stage = 0;
    step.last_stage = options.config.stage_count - 1;
    step.base = body.base + at;
    const auto count = std::min(most, r.rows - at);
    step.rows = some_rows(body.rows, at, count);
    step.want.rows = at + count == r.rows || body.want == rows_wanted::all ? body.want : rows_wanted::none;
    ++r.steps;
    auto of_step = hdr;
    of_step.unit = ++h.last_step;
    h.steps[of_step.unit] = r.unit;
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
  auto step = h.steps.find(a.hdr.unit);
  if (step == h.steps.end())
    return;
  auto running = h.running.find(step->second);
  h.steps.erase(step);
  if (running == h.running.end())
    return;
  auto& r = running->second;
  auto why = take(h, r, a);
  if (!why && r.steps > 0)
    return;
  if (why && why->code == ec::out_of_pages && make_room(a.hdr.session)) {
    std::erase_if(h.steps, [&](auto& entry) { return entry.second == r.unit; });
    r.steps = 0;
    r.out = {};
    r.times = {};
    a.hdr.unit = r.unit;
    return send_steps(h, a.hdr, r);
  }
  auto reply = r.reply;
  a.hdr.unit = r.unit;
  h.running.erase(running);
  if (why) {
    h.length = 0;  // whatever is left of the cache, nothing of it is sure
    return reply_to(reply, a.hdr, std::move(*why));
  }
  reply_to(reply, a.hdr, *h.last);
}

/// The newest session that holds a cache and is not older than the one in need loses it. @returns false when there is none
bool verifier_state::make_room(const session_id& needs) {
  auto own = sessions_.at(needs).opened_as;
  auto victim = sessions_.end();
  for (auto it = sessions_.begin(); it != sessions_.end(); ++it)
    if (auto& h = it->second; h.opened_as > own && h.length > 0 && (victim == sessions_.end() || h.opened_as > victim->second.opened_as))
      victim = it;
  if (victim == sessions_.end())
    return false;
  auto& h = victim->second;
  spdlog::info("session {} loses its cache at {}: an older one needs the memory", to_string(victim->first), options.node);
  h.length = 0;
  h.last.reset();
  auto of_engine = h.hdr;
  of_engine.incarnation = options.incarnation;
  self->send(model, call<close_session>{of_engine, close_session{}, sink{self}});  // its next round is ec::stale_position
  return true;
}

/// One step of a round came back; the last one makes its result.
std::optional<failure> verifier_state::take(held& h, round& r, answer& a) {
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
  monitor_.on_step(r.rows, done->batch_rows, done->times);
  if (done->result.rows.rows > 0)
    append_rows(r.out, done->result.rows);
  if (--r.steps > 0)
    return std::nullopt;
  auto rows = guarded([&] { return models::converted(std::move(r.out), h.wire); });
  if (!rows)
    return to_failure(rows.error());
  h.length = r.base + r.rows;
  h.last_unit = r.unit;
  h.last = verified{r.base, std::move(*rows), r.times, done->batch_rows,
                    monitor_.suggest(models::row_bytes(h.wire, options.config.hidden), r.ask.up_bytes_per_s)};
  return std::nullopt;
}

// -- before there are devices ------------------------------------------------------------------------------------------

/// Batches of 1, 2, 4, ... rows, each twice: the first of a size pays for its memory.
void verifier_state::warm_up(std::uint32_t run) {
  engine_step step;
  step.owner = options.incarnation;
  step.last_stage = options.config.stage_count - 1;
  step.rows = {options.config.compute, 1u << run / 2, options.config.hidden, {}};
  step.rows.data.resize(step.rows.rows * models::row_bytes(step.rows.type, step.rows.cols));
  header hdr;
  hdr.unit = run;
  hdr.deadline = self->clock().now() + warm_up_limit;
  self->send(model, call<engine_step>{hdr, std::move(step), sink{self}});
}

void verifier_state::on_warm_up(answer& a) {
  auto* done = std::get_if<stepped>(&a.body);
  auto rows = 1u << a.hdr.unit / 2;
  if (done != nullptr && a.hdr.unit % 2 == 1)
    monitor_.on_warm_up(rows, done->times);
  if (done != nullptr && rows < warm_up_rows && done->times.compute_us < warm_up_step_us)
    return warm_up(a.hdr.unit + 1);
  auto of_engine = a.hdr;
  of_engine.incarnation = options.incarnation;
  self->send(model, call<close_session>{of_engine, close_session{}, sink{self}});
}

void verifier_state::start() {
  if (options.config.warm_up)
    warm_up(0);
}

bool verifier_state::is_foreign(const session_id& id, const std::string& from) const {
  auto it = sessions_.find(id);
  return it != sessions_.end() && it->second.from != from;
}

void verifier_state::close(const header& hdr, const std::string& from) {
  auto it = sessions_.find(hdr.session);
  if (it == sessions_.end() || it->second.hdr.epoch > hdr.epoch || it->second.from != from)
    return;
  auto of_engine = hdr;
  of_engine.incarnation = options.incarnation;
  spdlog::info("session {} closed at {}", to_string(hdr.session), options.node);
  self->send(model, call<close_session>{of_engine, close_session{}, sink{self}});
  sessions_.erase(it);
}

void verifier_state::schedule() {
  if (!ticking_) {
    ticking_ = true;
    self->delayed_send(self, sweep, tick_atom::value);
  }
}

void verifier_state::expire() {
  ticking_ = false;
  auto now = self->clock().now();
  std::vector<std::pair<header, std::string>> gone;
  for (auto& [id, h] : sessions_)
    if (h.hdr.deadline < now)
      gone.emplace_back(h.hdr, h.from);
  for (auto& [hdr, from] : gone)
    close(hdr, from);
  if (!sessions_.empty())
    schedule();
}

verifier_actor::behavior_type make_verifier(verifier_actor::stateful_pointer<verifier_state> self,
                                            verifier_options options, engine model) {
  auto& st = self->state;
  st.options = std::move(options);
  st.model = std::move(model);
  st.start();
  return {[&st](call<open_session>& c) { st.open(c); },
          [&st](call<verify>& c) { st.run(c); },
          [&st](call<close_session>& c) { st.close(c.hdr, c.from); },
          [&st](answer& a) { st.on_answer(a); },
          [&st](tick_atom) { st.expire(); }};
}

} // namespace virga
