// actors/roles/draft_config.hpp: how a DRAFTER works on a request, as its manifest declares.
// Source: HAT (arXiv 2503.18989); defaults of the paper where it has any, else of Kangaroo (arXiv 2404.18911).
#pragma once

#include <cstdint>

namespace virga {

inline constexpr std::uint32_t whole_prompt = UINT32_MAX;

struct draft_config {
  std::uint32_t most = 0;             ///< tokens of one draft; 0: no drafting, which is `split`. HAT: 6
  double unsure_below = 0.6;          ///< drafting stops at a token of less probability
  bool adapt = true;                  ///< shorter drafts where the link or the acceptance asks for it; else always up to `most`
  std::uint32_t bonus_guesses = 2;    ///< continuations tried while the cloud verifies: for the token behind the draft
  std::uint32_t last_guesses = 2;     ///< and in place of its last, unsure one
  std::uint32_t chunk_rows = whole_prompt;  ///< positions of a prompt sent at once; 0: as the cloud suggests
  std::uint32_t chunks_in_flight = 8;  ///< one on the uplink, the others in the cloud's pipeline stages and on their way back
  bool goes_on_alone = false;  ///< when the cloud stays away: the rest of an answer is drafts alone, each marked as unverified
  bool ahead = true;  ///< the likeliest guess goes to the cloud before the round's answer is there; not in the paper
};

} // namespace virga
