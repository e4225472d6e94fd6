// actors/session/session.hpp: one request from prompt to outcome, over as many placements as faults make necessary.
//
//   placing --complete--> answering --outcome--> ended
//      ^                      |
//      +---- lost, waits -----+   a lost role or peer: place again with the tokens emitted so far, epoch + 1
//
// When the peer stays away, a source may have somebody who goes on alone. What that one says is marked, and the answer
// stays with it: text that was shown cannot be taken back.
//
// Emitted tokens are the durable state: a placement gets prompt + emitted tokens, and noise is keyed by position, so the
// text does not depend on how often it was placed (design.md section 6).
#pragma once

#include "actors/session/asker.hpp"
#include "actors/session/retries.hpp"
#include "actors/session/session_host.hpp"
#include "models/stop_strings.hpp"

namespace virga {

struct session_options {
  header hdr;  ///< of the generate call; its epoch is where this session's placements begin
  generate request;
  sink client;
  strategy_source source;
  session_config config;
  std::string node;
};

struct session_state {
  explicit session_state(session::pointer self);

  void start(session_options o);
  void place();
  void on_answer(answer& a);
  void on_deadline();
  void on_cancel();
  void resume(call<generate>& c);

  session::pointer self;

private:
  void on_tokens(tokens& piece);
  void on_outcome(outcome& end);
  void on_failure(const failure& why);
  bool tokenize();  ///< false: it has failed
  bool adopt(const std::vector<token_id>& answered);  ///< false: it has failed
  void emit(const tokens& piece);
  void name_tokens(token_logprobs& of) const;
  void stop_source();
  void finish_stopped(outcome end);
  void retry_or_fail(const failure& why);
  void finish(outcome end);
  void finish_text(outcome& end);
  void fail(ec code, std::string text, std::uint64_t detail = 0);
  void release();
  header placement() const;
  bool goes_on_alone(ec why);
  const token_source& source() const { return alone_ ? options_.source.alone : options_.source.source; }

  session_options options_;
  std::unique_ptr<models::text_stream> text_;
  models::stop_strings stops_{{}};
  std::vector<token_id> prompt_;
  std::vector<token_id> emitted_;
  asker asker_;
  std::size_t placed_at_ = 0;  ///< tokens emitted when the current placement began
  std::uint32_t attempts_ = 0;
  std::uint32_t epoch_ = 0;
  retries retries_;
  traffic wire_;
  bool waiting_ = false;  ///< for an answer of the current placement
  bool alone_ = false;    ///< placed at the source that needs no cloud, for good
  std::uint32_t unverified_ = 0;  ///< tokens from there
  bool stopped_ = false;  ///< a stop string was found; what the source still sends is not shown
  bool ended_ = false;
};

/// Spawned by the SESSION HOST alone.
session::behavior_type make_session(session::stateful_pointer<session_state> self, session_options options);

} // namespace virga
