// models/hf/tok/added_tokens.hpp: the tokens that are cut out of a text before its words are. Private to models/hf.
#pragma once

#include "models/hf/json.hpp"
#include "models/hf/tok/normalizer.hpp"
#include "models/hf/tok/pattern.hpp"
#include "models/hf/tok/vocabulary.hpp"

#include <array>

namespace virga::models::hf::tok {

struct added_token {
  std::string text;  ///< as it is looked for: normalised where `normalized` says so
  token_id id = 0;
  bool special = false, single_word = false, lstrip = false, rstrip = false, normalized = false;
};

/// Reads "added_tokens" and adds them to the vocabulary. @throws bad_model
std::vector<added_token> read_added_tokens(const fields& root, const normalizer& n, vocabulary& words);

struct text_piece {
  text_range range;
  std::optional<token_id> id;  ///< of a token; else the piece is text
};

/// Finds tokens in text: the leftmost, of those the longest (Aho and Corasick's leftmost-longest).
/// Source: tokenizers 0.23, AddedVocabulary::find_matches.
class token_finder {
public:
  token_finder() = default;
  token_finder(std::vector<added_token> tokens);

  /// @param takes whether a special token found there may be taken; a refused one stays text
  std::vector<text_piece> split(std::string_view text, const std::function<bool(text_range)>& takes) const;

private:
  const added_token* at(std::string_view rest) const;

  std::vector<added_token> tokens_;                       ///< longest first
  std::array<std::vector<std::uint32_t>, 256> by_first_;  ///< places in tokens_
};

} // namespace virga::models::hf::tok
