// models/train/packing.hpp: several examples per row, so that little work is spent on padding.
// An example is <bos> prompt answer <eos>. Inside a row examples do not see each other (segment), and each counts its
// positions from 0. Loss weight is 1 on answer tokens and <eos>, `prompt_weight` on prompt tokens: the latter makes the
// model's own surprise at a name tell whether it knows the person (world.md 2.3).
#pragma once

#include "models/world/tasks.hpp"
#include "models/world/vocabulary.hpp"

#include <cstdint>
#include <vector>

namespace virga::models::train {

/// One sequence to learn or to score. `answer` is the index of the first answer token in `ids`.
struct example {
  std::vector<token_id> ids;
  std::size_t answer = 0;
};

example make_example(const world::vocabulary& words, const world::world& w, const world::request& r);

/// All arrays are [rows, width] row-major. Padding has segment 0 and weight 0.
struct packed_batch {
  std::uint32_t rows = 0, width = 0;
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> targets;    ///< the next token of the same example
  std::vector<float> weights;           ///< of the loss at this place, 0 where there is no target
  std::vector<std::uint8_t> is_answer;  ///< the target is an answer token
  std::vector<std::uint32_t> segments;  ///< example number in the batch from 1
  std::vector<std::uint32_t> positions;
  std::uint64_t tokens = 0;             ///< not padding
};

class packer {
public:
  packer(std::uint32_t rows, std::uint32_t width, float prompt_weight);

  /// Puts the example into the first row with room. @returns false when none has; the batch is then full
  /// @throws std::invalid_argument when it is longer than a row
  bool add(const example& e);

  /// Hands the batch over and starts an empty one.
  packed_batch take();

private:
  void clear();
  packed_batch batch_;
  std::vector<std::uint32_t> used_;
  std::uint32_t examples_ = 0;
  float prompt_weight_;
};

/// The training batch of one step: a pure function of (world, seed, step), so a resumed run sees what an unbroken one does.
packed_batch training_batch(const world::vocabulary& words, const world::world& w, std::uint64_t seed,
                            std::uint64_t step, packer& into);

} // namespace virga::models::train
