// actors/roles/generator.hpp: plain generation with a whole model, for the strategies `cloud` and `edge`.
#pragma once

#include "actors/node/config.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <map>

namespace virga {

struct generator_options {
  role_config config;
  std::uint64_t incarnation = 0;  ///< owner of its sequences in the engine
  std::string node;
};

/// A role that streams tokens and waits for answers itself.
using token_source_actor = token_source::extend_with<sink>;

struct generator_state {
  explicit generator_state(token_source_actor::pointer self);

  void begin(call<complete>& work);
  void stop(call<cancel>& word);
  void on_answer(answer& a);

  token_source_actor::pointer self;
  generator_options options;
  engine model;  ///< a stub

private:
  struct work {
    header hdr;
    sink reply;
    std::uint32_t prompt_tokens = 0;
    std::uint32_t produced = 0;
  };
  void end(const work& w, run_done& done);

  std::map<session_id, work> works_;  ///< one placement a session: a new epoch takes the place of an older one
};

token_source_actor::behavior_type make_generator(token_source_actor::stateful_pointer<generator_state> self,
                                                 generator_options options, engine model);

} // namespace virga
