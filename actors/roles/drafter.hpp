// actors/roles/drafter.hpp: the device side of `split` and of `hat`, which adds drafting: input and output stages here,
// the middle at the VERIFIER. device_session decides, this carries: calls out, answers in, clocks. Tokens never leave
// the device; hidden states do (they can be inverted: not privacy). A lost link costs the positions that one side lost,
// not the prompt: both keep their caches, and the next placement goes on from what both still hold.
#pragma once

#include "actors/node/config.hpp"
#include "actors/roles/draft_pace.hpp"
#include "actors/roles/generator.hpp"


namespace virga {

struct drafter_options {
  role_config config;
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
  void set(drafter_options o);

  drafter_actor::pointer self;
  drafter_options options;
  engine model;   ///< a stub
  verifier cloud; ///< a stub

private:
  /// One placement of one session.
  enum class draft_step : std::uint8_t { through_head, input_alone };
  struct work {
    header hdr;
    sink reply;
    device_session bookkeeping;
    std::map<std::uint32_t, time_point> sent{};  ///< when the calls were made that are not answered yet
    std::map<std::uint32_t, draft_step> steps{}; ///< of these, the steps of drafts that the answer waits for
    outcome end{};                               ///< times, bytes and round trips so far
    time_point rows_at{}, verdict_at{};          ///< the last round's deep rows came, and its tokens were known
    traffic wire{};
    bool told = false;           ///< the cloud has said what chunks suit it
    bool resumes = false;        ///< waits to hear how much the cloud still holds
    bool parked = false;         ///< its placement is lost; the caches wait for the next one
  };
  void open(work& w, std::string request_id);
  void on_opened(work& w, const opened& by);
  void on_stepped(work& w, std::uint32_t ticket, stepped& done);
  void on_verified(work& w, std::uint32_t ticket, verified& done);
  void carry(work& w, device_session::actions todo);
  void on_verdict(work& w, const draft_round& round);
  void ask_device(work& w, device_session::device_work& todo);
  void ask_cloud(work& w, device_session::cloud_work& todo);
  void renew_plan(work& w);
  header call_header(work& w, std::uint32_t ticket);
  double answered(work& w, std::uint32_t ticket);
  void count_round_trip(work& w, double took_s, const work_times& cloud_times);
  void finish(work& w, finish_reason reason);
  void give_up(work& w, failure why);
  void park(work& w, ec why);
  void schedule();
  void release(const work& w);
  dtype wire() const { return options.config.wire.value_or(options.config.compute); }

  std::optional<draft_pace> pace_;
  std::map<session_id, work> works_;
  bool ticking_ = false;
};

drafter_actor::behavior_type make_drafter(drafter_actor::stateful_pointer<drafter_state> self, drafter_options options,
                                          engine model, verifier cloud);

} // namespace virga
