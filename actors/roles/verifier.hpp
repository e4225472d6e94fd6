// actors/roles/verifier.hpp: the cloud side of `split` and `hat`: sequences over the middle stages of a model.
// Source: HAT (arXiv 2503.18989), sections as in docs; the cloud crops its cache to `base` at the next verify (lazy
// rollback) and answers a repeated round from the results it remembers. When KV memory runs out, the newest other session loses
// its cache and its device replays, and the newest of all waits, so that the oldest always come to their end. A device that lost its way here opens
// the session again and hears how many positions are still held.
#pragma once

#include "actors/node/config.hpp"
#include "actors/roles/cloud_monitor.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <deque>
#include <map>
#include <optional>

namespace virga {

struct verifier_options {
  role_config config;
  std::uint64_t incarnation = 0;  ///< owner of its sequences in the engine
  std::string node;
  std::uint32_t max_sessions = 1024;  ///< more: ec::queue_full
};

using verifier_actor = verifier::extend_with<caf::typed_actor<
  // Rows from the engine.
  caf::reacts_to<answer>,
  // Frees the sessions whose deadline has passed: their device is gone.
  caf::reacts_to<tick_atom>>>;

struct verifier_state {
  explicit verifier_state(verifier_actor::pointer self);

  void open(call<open_session>& c);
  void run(call<verify>& c);
  void close(const header& hdr, const std::string& from);
  void on_answer(answer& a);
  void expire();
  void start();

  verifier_actor::pointer self;
  verifier_options options;
  engine model;  ///< a stub

private:
  struct round {
    header hdr;
    sink reply;
    verify ask{};  ///< in the dtype of computation, to be run again when memory was made for it
    std::uint32_t steps = 0;  ///< of the engine that have not answered
    work_times times{};
    tensor out{};
    bool waits = false;       ///< for memory that older sessions hold
  };
  /// Of a round, at the engine.
  struct running_step {
    std::uint32_t unit = 0;  ///< of its round
    std::uint32_t rows = 0;
    time_point since{};
  };
  struct held {
    header hdr;  ///< of the newest placement; its deadline bounds what is held
    std::map<std::uint32_t, round> running;
    std::deque<std::pair<std::uint32_t, verified>> results;  ///< of the last calls by unit, for repeats; see most_results
    std::uint64_t length = 0;      ///< positions that are surely in the cache
    std::string from{};            ///< the peer that opened it: to all others it is unknown
    dtype wire = dtype::f32;       ///< of its rows in both directions
    std::uint64_t opened_as = 0;   ///< counts sessions: the highest is the newest
    std::uint32_t prompt_rows = 0; ///< positions of its whole prompt
    std::map<std::uint32_t, running_step> steps{};  ///< by the unit of the engine's step
    std::uint32_t last_step = 0;
    time_point step_done{};  ///< when the last of its steps came back
    bool waiting() const;          ///< one of its rounds waits for memory
    bool holds_memory() const;
  };
  std::optional<failure> mismatch(const open_session& asked) const;
  std::optional<failure> refuse(const held& h, const call<verify>& c) const;
  bool is_foreign(const session_id& id, const std::string& from) const;
  void schedule();
  void send_steps(held& h, round& r);
  bool make_room(const session_id& needs);
  bool waits(const session_id& needs, round& r, ec why) const;
  void forget_steps(held& h, round& r);
  void wake_waiting();
  void warm_up(std::uint32_t run);
  void on_warm_up(answer& a);
  std::optional<failure> take(held& h, round& r, const running_step& s, answer& a);
  work_times waited_for_others(held& h, const running_step& s, work_times times);
  bool can_travel_as(dtype wire) const;

  cloud_monitor monitor_{{}};
  std::map<session_id, held> sessions_;
  std::uint64_t last_opened_ = 0;
  bool ticking_ = false;
};

verifier_actor::behavior_type make_verifier(verifier_actor::stateful_pointer<verifier_state> self,
                                            verifier_options options, engine model);

} // namespace virga
