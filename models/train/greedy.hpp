// models/train/greedy.hpp: the model's own greedy continuations, many prompts at a time.
#pragma once

#include "models/shard.hpp"

#include <functional>
#include <span>
#include <vector>

namespace virga::models::train {

struct greedy_options {
  std::vector<token_id> stop;      ///< an answer ends with the first of these, which is part of it
  std::uint32_t most_tokens = 128; ///< or with this many; or where the context ends
  std::uint32_t at_once = 32;      ///< prompts; fewer where the shard's KV memory holds fewer
};

/// How many sequences of these lengths, from the front, fit into the shard's KV memory together: 1 to `most`.
std::size_t fitting(const shard& s, std::span<const std::uint64_t> positions, std::size_t most);

/// Called after each answer, in the order of the prompts: long work can be kept, and shown.
using answer_told = std::function<void(std::size_t index, const std::vector<token_id>& answer)>;

/// @param whole from the embedding to the head @param prompts each with at least one token and room for one more in the
/// context
/// @param told may be empty @returns the continuations without their prompts
std::vector<std::vector<token_id>> greedy_answers(shard& whole, std::span<const std::vector<token_id>> prompts,
                                                  const greedy_options& how, const answer_told& told = {});

} // namespace virga::models::train
