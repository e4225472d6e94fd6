// models/hf/tok/pre_tokenizer.hpp: the pre-tokenizer of tokenizer.json: text to words, which the model then encodes one by
// one. Private to models/hf.
#pragma once

#include "models/hf/json.hpp"

#include <array>
#include <functional>
#include <string>
#include <vector>

namespace virga::models::hf::tok {

struct word_piece {
  std::string text;
  bool first = false;  ///< begins where the whole text begins
};

using pre_tokenizer = std::vector<std::function<void(std::vector<word_piece>&)>>;

/// Split, ByteLevel, Metaspace, Digits, WhitespaceSplit, Whitespace, Punctuation and Sequence. @param v null: none
/// @throws bad_model for another kind, by name
pre_tokenizer read_pre_tokenizer(const json::value* v, const std::string& where);

/// Splits one text. Throws bad_segment as pattern::find_all does.
std::vector<std::string> words_of(const pre_tokenizer& p, std::string text, bool first);

/// GPT-2's printable character for each byte, as UTF-8.
const std::array<std::string, 256>& byte_characters();

} // namespace virga::models::hf::tok
