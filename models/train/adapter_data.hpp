// models/train/adapter_data.hpp: the sequences that an adapter learns from. Any text does: what it learns is the frozen
// model's own view of it. Nothing that is held out is ever in a batch.
#pragma once

#include "models/tokenizer.hpp"
#include "models/train/packing.hpp"

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace virga::models::train {

class adapter_data {
public:
  virtual ~adapter_data() = default;

  /// Examples of one step, together about `tokens`, at least one: a function of (data, seed, step, tokens).
  virtual std::vector<example> batch(std::uint64_t seed, std::uint64_t step, std::uint32_t tokens) = 0;

  /// Examples to choose by, such as rate and length of a run; at least one.
  virtual const std::vector<example>& held_out() const = 0;

  /// Tokens of the longest example.
  virtual std::uint32_t longest() const = 0;

  /// For the card, and for a resumed run to know its data again: kind, size and hash. One line.
  virtual const std::string& description() const = 0;
};

/// The zoo's mixture of tasks: batches from the world's training split, held out `validation` requests of its
/// validation split. The loss counts answers.
std::unique_ptr<adapter_data> world_data(const world::world& w, const world::vocabulary& words,
                                         std::uint32_t validation = 500);

/// A fixed list: one in twenty, by hash of its ids, is held out, the rest is seen in a new order in each epoch.
/// @param kind for the description, such as "text files" @throws std::invalid_argument when one of the two parts is
/// empty
std::unique_ptr<adapter_data> fixed_data(std::vector<example> examples, const std::string& kind);

/// Text files cut into rows of `width` tokens, each with what the tokenizer puts before a text; a shorter row ends each
/// file. The loss counts every place.
/// @throws std::invalid_argument for a file that is missing, empty, too large or no UTF-8, naming it
std::vector<example> text_rows(std::span<const std::filesystem::path> files, const tokenizer& tok, std::uint32_t width);

/// Whether each word of the world is the same one token for this tokenizer.
bool speaks_of_the_world(const tokenizer& tok, const world::vocabulary& words);

} // namespace virga::models::train
