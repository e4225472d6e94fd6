#include "models/hf/tok/vocabulary.hpp"

#include "models/defaults.hpp"

namespace virga::models::hf::tok {

namespace {

class word_level final : public word_model {
public:
  word_level(const vocabulary& words, std::string unknown) : words_(words), unknown_(std::move(unknown)) {}

  void encode(std::string_view word, std::vector<token_id>& out) const override {
    auto id = words_.id_of(word);
    if (!id || words_.is_special(*id))
      id = words_.id_of(unknown_);
    if (!id)
      throw bad_segment("the word " + in_quotes(word) + " is not in the model's vocabulary, which has no unknown token");
    out.push_back(*id);
  }

private:
  const vocabulary& words_;
  std::string unknown_;
};

} // namespace

void vocabulary::add(const std::string& token, token_id id, const std::string& where) {
  auto [at, fresh] = ids_.emplace(token, id);
  if (!fresh && at->second != id)
    fail(where, "the token " + in_quotes(token) + " has two ids, " + std::to_string(at->second) + " and "
                  + std::to_string(id));
  if (tokens_.size() <= id)
    tokens_.resize(std::size_t{id} + 1);
  if (tokens_[id] && *tokens_[id] != token)
    fail(where, "the id " + std::to_string(id) + " has two tokens, " + in_quotes(*tokens_[id]) + " and " + in_quotes(token));
  tokens_[id] = token;
}

std::optional<token_id> vocabulary::id_of(std::string_view token) const {
  auto it = ids_.find(token);
  return it == ids_.end() ? std::nullopt : std::optional(it->second);
}

std::unique_ptr<word_model> read_word_level(const fields& model, vocabulary& words) {
  return std::make_unique<word_level>(words, model.text_or("unk_token", ""));
}

std::unique_ptr<word_model> read_word_model(const fields& model, vocabulary& words) {
  fields vocab(model.at("vocab"), model.where() + ": vocab");
  for (auto& [word, id] : vocab.object())
    words.add(word,
              static_cast<token_id>(whole_number(id, vocab.where() + ": " + in_quotes(word), 0, defaults::max_vocab - 1)),
              vocab.where());
  // Files written before the type was: BPE is the one with merges.
  auto kind = model.text_or("type", model.find("merges") ? "BPE" : "WordLevel");
  if (kind == "BPE")
    return read_bpe(model, words);
  if (kind == "WordLevel")
    return read_word_level(model, words);
  fail(model.where(), "the kind " + in_quotes(kind) + " cannot be run so far; BPE and WordLevel can be");
}

} // namespace virga::models::hf::tok
