// tests/sim/profile/figures.hpp: what one run of the profile comes to, and what physics allows on the same requests.
#pragma once

#include "tests/sim/profile/world.hpp"

namespace virga::testing {

/// Of the requests that count; times in milliseconds, means.
struct figures {
  std::size_t requests = 0;
  std::size_t wrong = 0;                   ///< of all requests: no end, an error, or a text that is not the target's
  double prompt_mean = 0, prompt_p90 = 0;  ///< tokens
  double ttft = 0, ttft_p90 = 0;
  double tbt = 0;                                     ///< (last token - first token) / (tokens - 1) of each request
  double tokens_a_round = 0;                          ///< of rounds behind the first token; 0 without drafts
  double guessed = 0;                                 ///< share of rounds whose draft was a guess come true
  double batch_ms = 0, batch_sd = 0, batch_rows = 0;  ///< of the clouds' stages
  double busy = 0;                                    ///< share of the window in which the busiest stage computed
  double load = 0;        ///< rho: its rows a second, over those that it can do in batches of `full_batch`
  double ttft_floor = 0;  ///< mean of prompt x A / uplink
  double tbt_floor = 0;   ///< mean of a round trip on an idle cloud whose draft was ready, over the tokens of a round
  /// The same with what was measured under load: (rows / uplink + round trip + stages x batch + rows / downlink + head) / tokens of
  /// a round + drafting that was not hidden / tokens of a round.
  double tbt_bound = 0;
  double unhidden_ms = 0; ///< of a round: drafting between a verdict and the next round's rows
};

inline constexpr double full_batch = 512;  ///< rows, as Sarathi's budget

figures figures_of(const world& w);

/// The first requests that went wrong, a sentence each.
std::vector<std::string> complaints(const world& w, std::size_t most = 5);

/// Requests a second that give the busiest stage of one cloud a load of 1, with so many tokens a round and drafts.
double capacity(const world_options& o);

} // namespace virga::testing
