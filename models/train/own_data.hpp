// models/train/own_data.hpp: a model's own greedy answers as data for its adapter: exactly what it will have to draft.
#pragma once

#include "models/train/greedy.hpp"
#include "models/train/packing.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace virga::models::train {

using prompt_list = std::vector<std::vector<token_id>>;

/// Prompts of the world's training split, of the zoo's mixture.
prompt_list world_prompts(const world::world& w, const world::vocabulary& words, std::uint64_t seed,
                          std::uint32_t count);

/// Each prompt with the model's answer behind it, which the loss counts. Every answer goes to `kept` as it comes (a
/// line of ids under a line that says what they belong to), and what stands there already is not asked again.
/// @param whole from the embedding to the head @param told of every answer but those read
/// @throws std::invalid_argument when `kept` belongs to another model or other prompts
std::vector<example> own_examples(shard& whole, const prompt_list& prompts, const greedy_options& how,
                                  const std::filesystem::path& kept, const answer_told& told = {});

} // namespace virga::models::train
