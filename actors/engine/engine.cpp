#include "actors/engine/engine.hpp"

#include "actors/answers.hpp"
#include "actors/engine/defaults.hpp"
#include "actors/guarded.hpp"

#include <algorithm>

namespace virga {

caf::error engine_state::start(engine_config c) {
  config = std::move(c);
  policy = models::batch_policy{{config.batch_rows, engine_defaults::few_rows, engine_defaults::patience_steps}};
  auto made = guarded([&] { return config.make(); });
  if (!made)
    return make_error(ec::model_error, "engine " + config.name + ": " + text_of(made.error()));
  if (!*made)
    return make_error(ec::model_error, "engine " + config.name + ": no shard was made");
  runner.emplace(std::move(*made), config.planted, config.prefix_positions);
  return {};
}

// -- calls -------------------------------------------------------------------------------------------------------------

void engine_state::step(call<engine_step>& c) {
  auto& b = c.body;
  for (auto branch : b.drop)
    drop_branch({c.hdr.session, b.owner, branch});
  if (!admit(c.hdr, c.reply))
    return;
  engine_job job;
  job.hdr = c.hdr;
  job.reply = std::move(c.reply);
  job.work.key = {c.hdr.session, b.owner, b.branch};
  job.work.from = b.from;
  job.work.seg = {{}, b.first_stage, b.last_stage, b.base, std::move(b.tokens), std::move(b.rows), std::move(b.want)};
  add(std::move(job));
}

void engine_state::run(call<engine_run>& c) {
  const sequence_key key{c.hdr.session, c.body.owner, 0};
  if (!replace_run(key, c.hdr, c.reply) || !admit(c.hdr, c.reply))
    return;
  const auto& info = runner->info();
  engine_job job;
  job.run.emplace(std::move(c.body), generation::limits{static_cast<std::uint32_t>(info.stages.size()),
                                                        info.max_positions, config.prefill_rows});
  if (auto no = job.run->refusal())
    return reply_to(c.reply, c.hdr, to_failure(no));
  if (job.run->empty())
    return reply_to(c.reply, c.hdr, run_done{finish_reason::length, {}});
  job.hdr = c.hdr;
  job.reply = std::move(c.reply);
  job.work = {key, job.run->next()};
  add(std::move(job));
}

/// A session has one run of an owner at most. A later placement replaces it, a repeat of the same call starts it again,
/// an older one is refused.
bool engine_state::replace_run(const sequence_key& key, const header& hdr, const sink& reply) {
  auto it = std::ranges::find_if(jobs_, [&](auto& j) { return j.second.run && j.second.work.key == key; });
  if (it == jobs_.end())
    return true;
  const auto& old = it->second.hdr;
  if (hdr.epoch < old.epoch) {
    fail_to(reply, hdr, ec::stale_epoch, "a newer placement of this session runs here", old.epoch);
    return false;
  }
  if (hdr.epoch == old.epoch && hdr.unit == old.unit)
    drop(it);  // not answered: the asker waits for one answer only, that of the new run
  else
    fail(it, ec::cancelled, "a newer placement of this session replaced it");
  return true;
}

bool engine_state::admit(const header& hdr, const sink& reply) {
  if (jobs_.size() < config.waiting)
    return true;
  fail_to(reply, hdr, ec::queue_full,
          "engine " + config.name + " has " + std::to_string(jobs_.size()) + " calls already", engine_defaults::retry_ms);
  return false;
}

void engine_state::add(engine_job job) {
  job.since = self->clock().now();
  jobs_.emplace(++last_job_, std::move(job));
  wake();
}

/// The next step begins behind everything that is in the mailbox now, so all of it joins the batch.
void engine_state::wake() {
  if (begin_sent_ || stepping_ || jobs_.empty())
    return;
  begin_sent_ = true;
  self->send(self, begin_atom::value);
}

// -- endings -----------------------------------------------------------------------------------------------------------

engine_state::job_map::iterator engine_state::fail(job_map::iterator it, ec code, std::string text,
                                                   std::uint64_t detail) {
  fail_to(it->second.reply, it->second.hdr, code, std::move(text), detail);
  return drop(it);
}

/// A run owns its sequence; a step's sequence is its role's.
engine_state::job_map::iterator engine_state::drop(job_map::iterator it) {
  if (it->second.run)
    runner->close(it->second.work.key);
  return jobs_.erase(it);
}

template <class Which>
void engine_state::fail_all(Which which, ec code, const std::string& text) {
  for (auto it = jobs_.begin(); it != jobs_.end();)
    it = which(it->second) ? fail(it, code, text) : std::next(it);
}

void engine_state::fail_overdue() {
  const auto now = self->clock().now();
  fail_all([&](const engine_job& j) { return j.hdr.deadline <= now; }, ec::deadline_exceeded,
           "the deadline passed in engine " + config.name);
}

void engine_state::cancel_run(const header& hdr) {
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    auto& j = it->second;
    if (!j.run || j.hdr.session != hdr.session || j.hdr.epoch > hdr.epoch) {
      ++it;
      continue;
    }
    reply_to(j.reply, j.hdr, run_done{finish_reason::none, j.times});
    it = drop(it);
  }
}

void engine_state::close(const header& hdr) {
  fail_all([&](const engine_job& j) { return j.work.key.session == hdr.session && j.work.key.owner == hdr.incarnation; },
           ec::cancelled, "the session was closed");
  runner->close_session(hdr.session, hdr.incarnation);
}

void engine_state::drop_branch(const sequence_key& key) {
  fail_all([&](const engine_job& j) { return j.work.key == key; }, ec::cancelled, "the branch was dropped");
  runner->close(key);
}

void engine_state::forget(std::uint64_t owner) {
  fail_all([&](const engine_job& j) { return j.work.key.owner == owner; }, ec::cancelled, "the role that asked is gone");
  runner->close_owner(owner);
}

engine_stats engine_state::stats() const {
  const auto& shard = runner->shard();
  const auto waiting = std::ranges::count_if(jobs_, [](const auto& j) { return !j.second.in_step; });
  const auto& prefixes = runner->prefixes();
  const auto held = prefixes.bytes();
  const auto& did = prefixes.counts;
  return {steps_, rows_, runner->sequences(), static_cast<std::uint64_t>(waiting), shard.kv_bytes() - held,
          shard.kv_bytes_limit(), {},
          {held, prefixes.size(), did.asked_tokens, did.saved_tokens, did.hits, did.evictions}};
}

// ----------------------------------------------------------------------------------------------------------------------

engine_actor::behavior_type make_engine(engine_actor::stateful_pointer<engine_state> self,
                                        engine_config config) {
  auto& st = self->state;
  if (auto err = st.start(std::move(config))) {
    self->quit(std::move(err));
    return engine_actor::behavior_type::make_empty_behavior();
  }
  return {[&st](call<engine_step>& c) { st.step(c); },
          [&st](call<engine_run>& c) { st.run(c); },
          [&st](const call<cancel>& c) { st.cancel_run(c.hdr); },
          [&st](const call<close_session>& c) { st.close(c.hdr); },
          [&st](forget_atom, std::uint64_t owner) { st.forget(owner); },
          [&st](begin_atom) { st.begin_step(); },
          [&st](end_atom) { st.end_step(); },
          [&st](stats_atom) { return st.stats(); }};
}

} // namespace virga
