// actors/roles/drafter.hpp: the device side of `split` (and of `hat`, which adds drafting): input and output stages here,
// the middle at the VERIFIER. Tokens never leave the device; hidden states do (they can be inverted: not privacy).
// A lost link costs the positions that one side lost, not the prompt: both keep their caches, and the next placement goes on
// from what both still hold.
#pragma once

#include "actors/node/config.hpp"
#include "actors/roles/device_session.hpp"
#include "actors/roles/generator.hpp"

namespace virga {

struct drafter_options {
  role_config config;
  session_config sessions;
  std::uint64_t incarnation = 0;  ///< owner of its sequences in the engine
  std::string node;
  place cloud;                    ///< the peer and the layers it runs, for the outcome
};

using drafter_actor = token_source_actor::extend_with<caf::typed_actor<
  // Frees the parked sessions whose deadline has passed: nobody places them again.
  caf::reacts_to<tick_atom>>>;

struct drafter_state {
  explicit drafter_state(drafter_actor::pointer self);

  void begin(call<complete>& work);
  void stop(const header& hdr);
  void on_answer(answer& a);
  void expire();

  drafter_actor::pointer self;
  drafter_options options;
  engine model;   ///< a stub
  verifier cloud; ///< a stub

private:
  /// One placement of one session.
  struct work {
    header hdr;
    sink reply;
    device_session bookkeeping;
    std::uint32_t unit = 0;      ///< of the call it waits for
    time_point sent_at{};        ///< when the cloud was asked
    outcome end;                 ///< times, bytes and round trips so far
    traffic wire;
    bool resumes = false;        ///< waits to hear how much the cloud still holds
    bool parked = false;         ///< its placement is lost; the caches wait for the next one
  };
  header next_unit(work& w);
  void on_opened(work& w, const opened& by);
  void run_input(work& w);
  void on_stepped(work& w, stepped& done);
  void on_verified(work& w, verified& done);
  void send_rows(work& w, tensor rows);
  void run_head(work& w, std::uint64_t position, tensor row);
  void on_choice(work& w, const models::choice& chosen);
  void count_round_trip(work& w, const work_times& cloud_times);
  void finish(work& w, finish_reason reason);
  void give_up(work& w, failure why);
  void park(work& w, ec why);
  void schedule();
  void release(const work& w);

  std::map<session_id, work> works_;
  bool ticking_ = false;
};

drafter_actor::behavior_type make_drafter(drafter_actor::stateful_pointer<drafter_state> self, drafter_options options,
                                          engine model, verifier cloud);

} // namespace virga
