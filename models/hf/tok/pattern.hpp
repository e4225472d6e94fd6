// models/hf/tok/pattern.hpp: the patterns of tokenizer.json, literal or regular expressions. The tokenizers library runs the
// latter with Oniguruma; here PCRE2 does, told Oniguruma's meaning where the two differ. Private to models/hf.
#pragma once

#include "models/hf/json.hpp"
#include "models/tokenizer.hpp"

#include <functional>
#include <memory>

namespace virga::models::hf::tok {

class pattern {
public:
  static pattern literal(std::string text);
  /// @throws bad_model naming `where` for an expression that is broken or means something else in PCRE2
  static pattern regex(const std::string& source, const std::string& where);
  /// {"String": s} or {"Regex": s}.
  static pattern read(const json::value& v, const std::string& where);

  /// Calls `found` for each match from left to right; matches do not overlap. @param text valid UTF-8
  /// @throws bad_segment when an expression needs more steps than its bound
  void find_all(std::string_view text, const std::function<void(text_range)>& found) const;

  std::string replaced(std::string_view text, std::string_view with) const;

  /// One character, taken literally: then no match crosses a border of pieces.
  bool is_one_character() const;

private:
  struct compiled;
  std::string text_;                         ///< of a literal
  std::shared_ptr<const compiled> regex_;    ///< nullptr for a literal
};

} // namespace virga::models::hf::tok
