// actors/session/relay.hpp: a request whose session lives elsewhere: at the peer (`cloud`, asked at an edge), or on another node
// of the site (asked at its front). It stands for that session here: what came stays when the way is lost, and the answer goes
// on where it stopped.
//
//   asking --tokens--> asking --outcome--> ended
//     ^                  |
//     +----- lost -------+   asks again with the tokens it has and a higher epoch
//
// The host there still has the session: it tells what is missing and goes on. It has not: a new one begins behind the
// tokens. Either way the client gets each token once (design.md section 6: noise is keyed by position).
#pragma once

#include "actors/session/asker.hpp"
#include "actors/session/retries.hpp"
#include "actors/session/session_host.hpp"

namespace virga {

struct relay_options {
  header hdr;
  generate request;
  sink client;
  session_host peer;  ///< a stub
  session_config config;
  bool across_link = true;  ///< false: to another node of the site
};

struct relay_state {
  explicit relay_state(session::pointer self_ptr) : self(self_ptr) {}

  void start(relay_options o);
  void ask();
  void on_answer(answer& a);
  void on_deadline();
  void on_cancel();
  void resume(call<generate>& c);

  session::pointer self;

private:
  void on_tokens(tokens& piece);
  void on_outcome(outcome end);
  void on_failure(const failure& why);
  void retry_or_fail(const failure& why);
  void fail(ec code, std::string text, std::uint64_t detail = 0);
  void finish(outcome end);
  header placement() const;

  relay_options options_;
  asker asker_;
  std::vector<token_id> ids_;  ///< of the answer so far
  bool tail_ = false;          ///< the text behind the last token is told
  retries retries_;
  std::uint32_t attempts_ = 0;
  time_point begun_{};
  traffic wire_;
  bool waiting_ = false;
  bool ended_ = false;
};

/// Spawned by the SESSION HOST alone.
session::behavior_type make_relay(session::stateful_pointer<relay_state> self, relay_options options);

} // namespace virga
