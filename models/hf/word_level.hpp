// models/hf/word_level.hpp: the WordLevel tokenizer of tokenizer.json: words between white space, one id each.
// Source: the tokenizers library 0.23 (models::WordLevel, pre_tokenizers::WhitespaceSplit). Private to models/hf.
#pragma once

#include "models/tokenizer.hpp"

#include <unordered_map>
#include <unordered_set>

namespace virga::models::hf {

/// The tables of one tokenizer.json, already checked against each other.
struct word_tables {
  std::unordered_map<std::string, token_id> ids;       ///< words and added tokens
  std::vector<std::optional<std::string>> words;       ///< by id; ids may have gaps
  std::unordered_set<token_id> special;                ///< left out by decode, never read from text
  std::vector<std::string> parsed_first;               ///< added tokens that are not special: cut out of the text first
  std::optional<token_id> unknown;
  bool split_at_space = true;                          ///< false: the whole text is one word
  std::vector<token_id> before, after;                 ///< the post-processor's special tokens
};

class word_level final : public tokenizer {
public:
  explicit word_level(word_tables tables) : t_(std::move(tables)) {}
  std::vector<token_id> encode(std::string_view text, const encode_options& how) const override;
  std::string decode(const std::vector<token_id>& ids, bool skip_special) const override;
  std::uint32_t vocab_size() const override { return static_cast<std::uint32_t>(t_.words.size()); }
  std::optional<token_id> id_of(std::string_view token) const override;

private:
  void add_words(std::string_view text, std::vector<token_id>& out) const;
  token_id word(std::string_view text) const;

  word_tables t_;
};

} // namespace virga::models::hf
