// models/hf/tok/normalizer.hpp: the normalizer of tokenizer.json. Private to models/hf.
#pragma once

#include "models/hf/json.hpp"

#include <functional>
#include <string>
#include <vector>

namespace virga::models::hf::tok {

/// Text, and which of its bytes came from someone whose special tokens stay text.
struct marked_text {
  std::string text;
  std::vector<bool> literal;  ///< one per byte; empty: none

  bool any_literal(std::size_t begin, std::size_t end) const;
};

/// What runs one after the other.
using normalizer = std::vector<std::function<void(marked_text&)>>;

/// NFC, NFD, NFKC, NFKD, Prepend, Replace and Sequence. @param v null: none
/// @throws bad_model for another kind, by name. Running it throws bad_segment for a run of combining marks that is longer
///   than defaults::combining_marks
normalizer read_normalizer(const json::value* v, const std::string& where);

marked_text normalized(const normalizer& n, marked_text text);

} // namespace virga::models::hf::tok
