// models/train/acceptance.hpp: how far the model's own greedy text can be drafted with embedding, first layers, adapter
// and head. A round as in HAT (arXiv 2503.18989, and Kangaroo, arXiv 2404.18911): from the last token on the device
// drafts up to `most` tokens and stops behind one that it is less sure of than `eta`; kept is the longest prefix that
// is the model's own text, and one more token comes from the model: the correction, or behind a whole draft the next
// one. The first token of an answer comes with the prompt and is drafted by nobody.
#pragma once

#include "models/shard.hpp"
#include "models/train/packing.hpp"
#include "models/world/statistics.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace virga::models::train {

struct draft_rules {
  std::uint32_t most = 6;
  double eta = 0.6;  ///< compared with the largest probability of the draft's distribution
};

/// A prompt and what the model itself answers to it, greedily.
struct drafted_request {
  std::vector<token_id> prompt, answer;
  std::vector<world::word_role> roles{};  ///< of the answer's tokens; empty: not known
};

/// A rate counts drafts whose predecessors in the round were all kept ("judged"): one behind a wrong token says
/// nothing.
struct acceptance {
  std::uint64_t requests = 0, rounds = 0;
  std::uint64_t emitted = 0;                ///< tokens of all rounds, corrections included
  std::uint64_t drafted = 0;                ///< tokens, with those behind a wrong one
  double length = 0;                        ///< tokens a round
  world::interval length_range;             ///< 95 %, normal, requests being independent
  std::vector<world::rate> at_position;     ///< kept of the judged, by place in the draft
  world::rate all;                          ///< kept of the judged
  world::rate fact, other, person, type;    ///< by the role of the model's token; `other` is all but facts, and <eos>
};

/// @param device embedding to head with an adapter between, empty @param stop ids that end an answer
acceptance measure_acceptance(shard& device, std::span<const drafted_request> requests, const draft_rules& rules,
                              std::span<const token_id> stop);

/// `count` describe requests of 3 to 5 keys, people by popularity, with the greedy answers of `whole`. Roles are known
/// where the answer has as many words as the reference: a wrong value changes no other word's role.
std::vector<drafted_request> describe_requests(const world::world& w, const world::vocabulary& words, world::split s,
                                               std::uint64_t seed, std::uint32_t count, shard& whole);

/// Teacher-forced: the share of places, from the last of the prompt to the last but one, where both shards choose the
/// same token. @param device, whole from the embedding to the head
world::rate agreement(shard& device, shard& whole, std::span<const example> examples);

} // namespace virga::models::train
