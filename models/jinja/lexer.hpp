// models/jinja/lexer.hpp: the source of a template as tokens, white space already taken away as trim_blocks, lstrip_blocks
// and the minus signs say. Source: Jinja 3.1, lexer.py. Private to models.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace virga::models::jinja {

struct token {
  enum kind_t { data, block_begin, block_end, print_begin, print_end, name, string, whole, number, sign, end } kind;
  std::string text;  ///< of a string literal: its value
  int line = 1;

  bool is(std::string_view s) const { return (kind == sign || kind == name) && text == s; }
};

/// @throws bad_model naming `where` and the line
std::vector<token> tokens_of(std::string_view source, const std::string& where);

[[noreturn]] void broken(const std::string& where, int line, const std::string& what);

} // namespace virga::models::jinja
