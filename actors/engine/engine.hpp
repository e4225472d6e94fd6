// actors/engine/engine.hpp: the actor that owns one shard and batches continuously. Detached by its parent, which is not
// its business: under the test coordinator the same engine runs plain.
//
//   call --> jobs --(begin: batch_policy picks)--> shard_runner --(end: charge passed)--> answers, next segment of runs
#pragma once

#include "actors/engine/generation.hpp"
#include "actors/engine/shard_runner.hpp"
#include "actors/interfaces.hpp"
#include "actors/node/config.hpp"
#include "models/batch_policy.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <map>
#include <optional>
#include <vector>

namespace virga {

/// One call that is not answered for good yet: a step (one segment) or a run (a generator of segments).
struct engine_job {
  header hdr;
  sink reply;
  keyed_segment work;             ///< the segment that waits or runs
  std::optional<generation> run;  ///< none: a step
  time_point since{};             ///< when the segment began to wait
  std::uint32_t passed_over = 0;  ///< steps that ran without it
  bool in_step = false;
  work_times times;               ///< of all segments so far
};

struct engine_state {
  explicit engine_state(engine_actor::pointer self_ptr) : self(self_ptr) {}

  /// Makes the shard. @returns why not
  caf::error start(engine_config c);

  void step(call<engine_step>& c);
  void run(call<engine_run>& c);
  void cancel_run(const header& hdr);
  void close(const header& hdr);
  void forget(std::uint64_t owner);
  void begin_step();  // CAF takes a state with begin() and end() for a container
  void end_step();
  engine_stats stats() const;

  engine_actor::pointer self;
  engine_config config;
  std::optional<shard_runner> runner;
  models::batch_policy policy{{}};

private:
  using job_map = std::map<std::uint64_t, engine_job>;  // by arrival
  using segment_answer = caf::expected<models::segment_result>;
  struct ran {
    std::uint64_t job = 0;
    segment_answer answer;
  };

  void drop_branch(const sequence_key& key);
  bool admit(const header& hdr, const sink& reply);
  bool replace_run(const sequence_key& key, const header& hdr, const sink& reply);
  void add(engine_job job);
  void wake();
  void fail_overdue();
  std::vector<std::uint64_t> pick();
  std::vector<keyed_segment> gather(const std::vector<std::uint64_t>& ids);
  void deliver(std::uint64_t id, segment_answer& answer);
  void advance(std::uint64_t id, engine_job& job, const models::segment_result& result);
  /// Answers a job for the last time (or, with no code, not at all), frees what it held and forgets it.
  job_map::iterator fail(job_map::iterator it, ec code, std::string text, std::uint64_t detail = 0);
  job_map::iterator drop(job_map::iterator it);
  template <class Which>
  void fail_all(Which which, ec code, const std::string& text);

  job_map jobs_;
  std::uint64_t last_job_ = 0;
  bool begin_sent_ = false;
  bool stepping_ = false;      // between begin and end
  time_point begun_{};
  std::vector<ran> results_;   // of the step between begin and end
  std::uint32_t batch_rows_ = 0;  // of that step
  std::uint64_t steps_ = 0;
  std::uint64_t rows_ = 0;
};

/// Spawn with make_engine and a config; `detached` in production. Quits with ec::model_error and the sentence of the
/// exception when the shard cannot be made.
engine_actor::behavior_type make_engine(engine_actor::stateful_pointer<engine_state> self,
                                        engine_config config);

} // namespace virga
