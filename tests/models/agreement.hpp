// Two shards of one folder over the same texts, teacher-forced: where do they choose the same token.
#pragma once

#include "tests/models/random_folder.hpp"
#include "tests/models/shard_contract.hpp"

#include <iostream>

namespace virga::models::test {

struct agreement {
  std::size_t positions = 0, flips = 0, clear = 0, clear_flips = 0;  ///< clear: the first shard's margin is above 0.1

  void add(const std::vector<double>& a, const std::vector<double>& b, std::size_t vocab) {
    for (std::size_t at = 0; at + vocab <= a.size(); at += vocab) {
      auto x = std::span(a).subspan(at, vocab), y = std::span(b).subspan(at, vocab);
      bool flip = argmax(x) != argmax(y), is_clear = margin({x.begin(), x.end()}) > 0.1;
      ++positions;
      flips += flip;
      clear += is_clear;
      clear_flips += flip && is_clear;
    }
  }

  void print(const std::string& what) const {
    std::cout << what << ": the same token at " << positions - flips << " of " << positions << " positions, at "
              << clear - clear_flips << " of " << clear << " where the margin is above 0.1\n";
  }
};

/// Logits of all rows of a text, fed in pieces of these sizes in turn.
inline std::vector<double> logits_in_pieces(shard& s, const std::vector<token_id>& ids, const std::vector<std::size_t>& sizes) {
  auto last = static_cast<std::uint32_t>(s.info().stages.size() - 1);
  auto seq = s.open();
  std::vector<double> out;
  for (std::size_t at = 0, piece = 0; at < ids.size(); ++piece) {
    auto n = std::min(sizes[piece % sizes.size()], ids.size() - at);
    auto begin = ids.begin() + static_cast<std::ptrdiff_t>(at);
    auto more = numbers(run(s, feed(s, seq, 0, last, at, {begin, begin + static_cast<std::ptrdiff_t>(n)})).logits);
    out.insert(out.end(), more.begin(), more.end());
    at += n;
  }
  s.close(seq);
  return out;
}

inline std::vector<token_id> random_ids(const hf::model_folder& folder, std::mt19937& random, std::size_t count) {
  std::vector<token_id> ids(count);
  for (auto& id : ids)
    id = random() % folder.config().vocab_size;
  return ids;
}

/// Random folders in the two shards' ways: prompts and single tokens.
inline agreement agreement_of(const shard_maker& one, const shard_maker& other, dtype type, std::uint64_t first_seed) {
  agreement out;
  std::mt19937 random(9);
  for (auto seed = first_seed; seed < first_seed + 16; ++seed) {
    random_folder made(seed);
    hf::model_folder folder(made.dir());
    auto a = one(folder, {type, 16u << 20, {}}), b = other(folder, {type, 16u << 20, {}});
    auto ids = random_ids(folder, random, 80);
    out.add(logits_in_pieces(*a, ids, {ids.size()}), logits_in_pieces(*b, ids, {40, 1, 1, 3, 1}), folder.config().vocab_size);
  }
  return out;
}

} // namespace virga::models::test
