// How a drafter's work ends: with an answer, with a failure, or parked until its session places it again.
#include "actors/answers.hpp"
#include "actors/curable.hpp"
#include "actors/roles/drafter.hpp"

#include <algorithm>

namespace virga {

namespace {

constexpr auto sweep = std::chrono::seconds(1);

} // namespace

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
    w.bookkeeping.lose_caches();
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

} // namespace virga
