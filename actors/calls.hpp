// actors/calls.hpp: what actors of one node say to each other on the data path. A call asks, answers come back as plain
// messages to the call's `reply`. Nothing here is ever serialised: across a link the same values travel as frames.
//
// Contract of every role, stub, engine and link:
//   - each call but cancel and close_session gets its answers, and exactly one of them, the final one, has `last` set;
//   - a `failure` is always final;
//   - an answer repeats the call's session, epoch and unit; whoever gets one it no longer waits for drops and counts it.
#pragma once

#include "messages/types.hpp"
#include "models/shard.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/typed_actor.hpp>

#include <optional>

namespace virga {

// -- engine vocabulary (an engine lives on the asker's node) -----------------------------------------------------------

/// Where a branch begins: it shares the first `length` positions of another branch of its session, without copies.
struct branch_point {
  std::uint32_t parent = 0;
  std::uint64_t length = 0;
};

/// To ENGINE: run one segment of the sequence named by (hdr.session, owner, branch); it is opened at its first segment.
/// Where the segment passes a `layers` stage: base below that cache's length rolls the cache back first; above it:
/// ec::stale_position with the length. A segment of the head alone touches no cache.
struct engine_step {
  std::uint64_t owner = 0;        ///< incarnation of the asking role
  std::uint32_t first_stage = 0;  ///< index into the shard's stages
  std::uint32_t last_stage = 0;   ///< inclusive
  std::uint64_t base = 0;
  std::vector<token_id> tokens;   ///< input when first_stage is the embedding
  tensor rows;                    ///< input otherwise
  models::wants want;
  std::uint32_t branch = 0;          ///< which of the session's histories; a drafter's guesses are branches of one prompt
  std::optional<branch_point> from{};  ///< of a branch that is not open; ec::stale_position when the parent is shorter or not open
  std::vector<std::uint32_t> drop{};   ///< branches that end first; their waiting steps are answered ec::cancelled
};

/// To ENGINE: prefill `prompt` and generate through all stages, feeding each token back, until a stop token,
/// `max_tokens` or cancel. Answers: `tokens` (one at a time, the stop token is not among them), then `run_done`, whose
/// finish is none when it was cancelled.
struct engine_run {
  std::uint64_t owner = 0;
  std::vector<token_id> prompt;
  std::vector<token_id> stop;
  std::uint32_t max_tokens = 0;
  sampling choose;
  std::uint32_t answered = 0;  ///< the last tokens of `prompt` that count as answer for penalties
};

struct stepped {
  models::segment_result result;
  work_times times;
  std::uint32_t batch_rows = 0;  ///< of all segments that ran together
};

struct run_done {
  finish_reason finish = finish_reason::none;
  work_times times;  ///< sums over all steps of the run
};

// -- calls and answers -------------------------------------------------------------------------------------------------

/// What the link has carried for this session since its last answer, and how good it is now. Zero inside a node.
struct traffic {
  std::uint64_t bytes_up = 0;    ///< edge to cloud
  std::uint64_t bytes_down = 0;  ///< cloud to edge
  std::uint64_t rtt_us = 0;      ///< smoothed round trip of heartbeats; 0: not measured yet
  std::uint64_t up_bytes_per_s = 0;    ///< smoothed; 0: not measured yet
  std::uint64_t down_bytes_per_s = 0;
};

using answer_body = std::variant<opened, verified, tokens, outcome, failure, stepped, run_done>;

struct answer {
  header hdr;  ///< session, epoch, unit of the call; target: the role that answers
  answer_body body;
  bool last = true;
  traffic wire;
};

/// Whoever waits for answers: a stub, a role, a session, a link, a gateway.
using sink = caf::typed_actor<caf::reacts_to<answer>>;

/// One request on a data path. `hdr.deadline` bounds it: at the deadline the stub answers ec::deadline_exceeded.
template <class T>
struct call {
  header hdr;
  T body;
  sink reply;
  std::string from{};  ///< the peer node that asks, as its certificate proves; empty: a gateway or a role of this node
};

} // namespace virga

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::call<virga::generate>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::call<virga::complete>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::call<virga::open_session>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::call<virga::verify>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::call<virga::close_session>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::call<virga::cancel>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::call<virga::engine_step>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::call<virga::engine_run>)
