// One step of the engine: what begins it, what runs in it, what becomes of its results.
#include "actors/answers.hpp"
#include "actors/engine/engine.hpp"

#include <algorithm>

namespace virga {

namespace {

std::uint64_t microseconds(time_point from, time_point to) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(to - from).count());
}

} // namespace

void engine_state::begin_step() {
  begin_sent_ = false;
  if (stepping_)
    return;
  fail_overdue();
  const auto ids = pick();
  if (ids.empty())
    return;
  begun_ = self->clock().now();
  auto answers = runner->run(gather(ids));
  const auto rows = runner->rows_run();
  batch_rows_ = static_cast<std::uint32_t>(rows);
  for (std::size_t i = 0; i < ids.size(); ++i)
    results_.push_back({ids[i], std::move(answers[i])});
  ++steps_;
  rows_ += rows;
  stepping_ = true;
  if (config.charge)
    self->delayed_send(self, config.charge(rows), end_atom::value);
  else
    end_step();
}

/// Takes the segments out of their jobs; the key stays, so that a cancel still finds its job.
std::vector<keyed_segment> engine_state::gather(const std::vector<std::uint64_t>& ids) {
  std::vector<keyed_segment> batch;
  for (auto id : ids) {
    auto& job = jobs_.at(id);
    job.in_step = true;
    job.passed_over = 0;
    job.times.queue_us += microseconds(job.since, begun_);
    batch.push_back({job.work.key, std::move(job.work.seg), job.work.from});
  }
  return batch;
}

std::vector<std::uint64_t> engine_state::pick() {
  std::vector<std::uint64_t> ids;
  std::vector<models::waiting_segment> waiting;
  std::map<sequence_key, std::uint64_t> numbers;
  std::uint64_t needed = 0;
  for (auto& [id, job] : jobs_) {
    ids.push_back(id);
    const auto number = numbers.emplace(job.work.key, numbers.size()).first->second;
    waiting.push_back({number, runner->rows_needed(job.work), runner->kv_bytes_needed(job.work), job.passed_over++});
    needed += waiting.back().kv_bytes;
  }
  std::vector<std::uint64_t> out;
  for (auto i : policy.choose(waiting, runner->kv_bytes_free(needed)))
    out.push_back(ids[i]);
  return out;
}

void engine_state::end_step() {
  if (!stepping_)
    return;
  stepping_ = false;
  for (auto& r : std::exchange(results_, {}))
    deliver(r.job, r.answer);
  wake();
}

void engine_state::deliver(std::uint64_t id, segment_answer& answer) {
  auto it = jobs_.find(id);
  if (it == jobs_.end())
    return;  // cancelled, closed or forgotten while its step ran
  auto& job = it->second;
  job.in_step = false;
  job.times.compute_us += microseconds(begun_, self->clock().now());
  if (!answer) {
    auto why = to_failure(answer.error());
    fail(it, why.code, std::move(why.text), why.detail);
  } else if (job.run) {
    advance(id, job, *answer);
  } else {
    reply_to(job.reply, job.hdr, stepped{std::move(*answer), job.times, batch_rows_});
    jobs_.erase(it);
  }
}

void engine_state::advance(std::uint64_t id, engine_job& job, const models::segment_result& result) {
  auto progress = job.run->take(result);
  if (progress.piece)
    reply_to(job.reply, job.hdr, std::move(*progress.piece), false);
  if (progress.finish != finish_reason::none) {
    reply_to(job.reply, job.hdr, run_done{progress.finish, job.times});
    drop(jobs_.find(id));
    return;
  }
  job.work.seg = job.run->next();
  job.since = self->clock().now();
}

} // namespace virga
