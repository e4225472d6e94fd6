// models/hf/tok/vocabulary.hpp: tokens and ids of one tokenizer.json. Private to models/hf.
#pragma once

#include "models/hf/json.hpp"
#include "models/tokenizer.hpp"

#include <unordered_map>
#include <unordered_set>

namespace virga::models::hf::tok {

struct text_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
};

class vocabulary {
public:
  /// @throws bad_model naming `where` for a token with two ids and for an id with two tokens
  void add(const std::string& token, token_id id, const std::string& where);
  void mark_special(token_id id) { special_.insert(id); }

  std::optional<token_id> id_of(std::string_view token) const;
  /// nullptr for an id without token; ids may have gaps.
  const std::string* token(token_id id) const { return id < tokens_.size() && tokens_[id] ? &*tokens_[id] : nullptr; }
  bool is_special(token_id id) const { return special_.contains(id); }
  std::uint32_t size() const { return static_cast<std::uint32_t>(tokens_.size()); }

private:
  std::unordered_map<std::string, token_id, text_hash, std::equal_to<>> ids_;
  std::vector<std::optional<std::string>> tokens_;
  std::unordered_set<token_id> special_;
};

/// The model of tokenizer.json: one word to ids.
class word_model {
public:
  virtual ~word_model() = default;
  /// Appends to `out`. @throws bad_segment for what has no token when there is no unknown token
  virtual void encode(std::string_view word, std::vector<token_id>& out) const = 0;
};

/// Reads the "model" of tokenizer.json, which fills the vocabulary; added tokens join it later, before the first encode.
/// @param words must outlive the model @throws bad_model
std::unique_ptr<word_model> read_word_model(const fields& model, vocabulary& words);

/// BPE: merges by rank, byte fallback, ignore_merges. Source: Sennrich, Haddow, Birch 2016; tokenizers 0.23 models::bpe.
std::unique_ptr<word_model> read_bpe(const fields& model, vocabulary& words);

/// WordLevel: one id each. A word that is written like a special token is an unknown word.
std::unique_ptr<word_model> read_word_level(const fields& model, vocabulary& words);

} // namespace virga::models::hf::tok
