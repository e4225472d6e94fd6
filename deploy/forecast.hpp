// deploy/forecast.hpp: how long a request will take by each strategy, from constants that were measured without a link and from
// what the link adds. No sockets, no files.
//
//   time to the first token (TTFT)       compute and software, + prompt bytes / rate, + a round trip, + first bytes back / rate
//   time between tokens (TBT)            `edge`: compute; `cloud`: the slower of compute and the link's rate, because tokens
//                                        stream, and what jitter makes of it: no piece overtakes another;
//                                        `split`: compute + a round trip + a row's bytes / rate, each way
#pragma once

#include "messages/types.hpp"

#include <cstdint>
#include <string>

namespace virga::deploy {

/// What a link adds to a bare connection, as manifests and shapers say it.
struct link_quality {
  double rtt_ms = 0;
  double jitter_ms = 0;  ///< each way up to this much, half of it on average
  double up_mbit = 0;    ///< from the edge; 0: unlimited
  double down_mbit = 0;
};

/// A request, as far as it matters for what crosses a link.
struct request_size {
  std::string prompt;               ///< one user message
  std::uint32_t prompt_tokens = 0;  ///< with the chat template
  std::uint32_t hidden = 0;         ///< of `split`'s model
  dtype wire = dtype::f32;
  std::uint32_t chunk_rows = 512;   ///< prompt rows of one message at most
  std::uint32_t answer_tokens = 24;
};

/// Whole frames in bytes, as the codec writes them for this request.
struct crossing {
  std::uint64_t prompt_up = 0, prompt_down = 0;  ///< until the first token can be said
  std::uint64_t token_up = 0, token_down = 0;    ///< for each token
  bool waits = false;                            ///< each token is a round trip
};

/// @throws std::runtime_error for a prompt beyond the wire's limits
crossing crossing_of(strategy how, const request_size& size);

/// What a strategy takes where the link adds nothing: compute, queues, HTTP and every hop of software.
struct pace {
  double first_ms = 0;         ///< TTFT of an empty prompt
  double prompt_token_ms = 0;  ///< more of it for each token of the prompt
  double token_ms = 0;         ///< TBT
};

struct forecast {
  double ttft_ms = 0;
  double tbt_ms = 0;
};

/// @param added of the link that the strategy crosses; ignored by `edge`
forecast forecast_of(strategy how, const pace& at_rest, const crossing& bytes, const link_quality& added,
                     const request_size& size);

} // namespace virga::deploy
