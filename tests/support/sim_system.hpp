// tests/support/sim_system.hpp: an actor system in which nothing runs and no time passes until the test says so.
// Detached and blocking actors escape it, so tests spawn engines plain. A test that cannot get its answer fails, never hangs.
#pragma once

#include "actors/answers.hpp"
#include "messages/type_ids.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/expected.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace virga::testing {

using namespace std::chrono_literals;

struct sim_config : caf::actor_system_config {
  sim_config() {
    set("scheduler.policy", caf::atom("testing"));  // an atom; a string is rejected
    add_error_category(caf::atom("virga"), render_error);
  }
};

/// Answers that a test's listener got, in order.
using answer_log = std::shared_ptr<std::vector<answer>>;

/// All bodies of one kind in a log.
template <class Body>
std::vector<Body> bodies(const answer_log& log) {
  std::vector<Body> out;
  for (const auto& a : *log)
    if (const auto* b = std::get_if<Body>(&a.body))
      out.push_back(*b);
  return out;
}

class sim {
public:
  sim() : sched(dynamic_cast<caf::scheduler::test_coordinator&>(sys.scheduler())) {
    sys.await_actors_before_shutdown(false);  // an actor that a failed test left behind must not hang it
  }
  ~sim() { run(); }
  sim(const sim&) = delete;
  sim& operator=(const sim&) = delete;

  caf::actor_clock::time_point now() { return sched.clock().now(); }

  /// Runs every ready actor until none is ready; no time passes.
  void run() { sched.run(); }

  /// Moves to the next timer and runs what it wakes. @returns false when there is none
  bool next_event() {
    run();
    const bool fired = sched.trigger_timeout();
    run();
    return fired;
  }

  /// Lets `t` pass, one timer at a time, each with its own time on the clock.
  void advance(caf::timespan t) {
    const auto until = now() + t;
    run();
    while (sched.has_pending_timeout() && sched.clock().schedule().begin()->first <= until)
      next_event();
    sched.clock().current_time = until;
  }

  /// Moves on, event by event, until `done` says so. @returns false when `limit` has passed before
  bool advance_until(const std::function<bool()>& done, caf::timespan limit = 60s) {
    const auto until = now() + limit;
    run();
    while (!done())
      if (now() > until || !next_event())
        return false;
    return true;
  }

  /// Asks and runs; without an answer the error is deadline_exceeded. No time passes.
  template <class T, class Handle, class... Ts>
  caf::expected<T> ask(const Handle& to, Ts... xs) {
    auto out = std::make_shared<caf::expected<T>>(make_error(ec::deadline_exceeded, "the actor asked did not answer"));
    auto asker = sys.spawn([=](caf::event_based_actor* me) {
      me->request(to, caf::infinite, xs...).then([out](T& x) { *out = std::move(x); },
                                                 [out](caf::error& e) { *out = std::move(e); });
    });
    run();
    end(asker);
    return *out;
  }

  /// A listener that writes every answer into `log`. Keep the handle: the last one dropped ends it.
  sink listen(answer_log log) {
    return sys.spawn([log]() -> sink::behavior_type {
      return {[log](answer& a) { log->push_back(std::move(a)); }};
    });
  }

  static answer_log make_log() { return std::make_shared<std::vector<answer>>(); }

  /// Kills an actor as a crash would: it gets no chance to say good-bye.
  template <class Handle>
  void crash(const Handle& h) {
    caf::anon_send_exit(h, caf::exit_reason::kill);
    run();
  }

  /// Ends an actor in order.
  template <class Handle>
  void end(const Handle& h) {
    caf::anon_send_exit(h, caf::exit_reason::user_shutdown);
    run();
  }

  /// Actors that have not ended yet.
  std::size_t alive() { return sys.registry().running(); }

  sim_config cfg;
  caf::actor_system sys{cfg};
  caf::scheduler::test_coordinator& sched;
};

} // namespace virga::testing
