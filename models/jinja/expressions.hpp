// models/jinja/expressions.hpp: the expressions of a template, read into functions. Private to models.
#pragma once

#include "models/jinja/frame.hpp"
#include "models/jinja/lexer.hpp"

#include <algorithm>
#include <initializer_list>

namespace virga::models::jinja {

/// The tokens still to be read, and the expressions among them. Everything throws bad_model naming file and line.
class expression_reader {
public:
  expression_reader(std::vector<token> tokens, std::string where) : tokens_(std::move(tokens)), where_(std::move(where)) {}

  const token& peek(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  token next() { return tokens_[std::min(at_++, tokens_.size() - 1)]; }
  bool take(std::string_view s);         ///< reads this sign or word when it is next
  void need(std::string_view s);
  std::string need_name();
  [[noreturn]] void fail(const std::string& what) const { broken(where_, peek().line, what); }

  expression conditional();              ///< a if b else c
  expression disjunction();              ///< without if
  expression tuple();                    ///< a, b
  expression tuple_without_condition();  ///< what a for runs over: an `if` behind it is the loop's
  /// `|name(...)|name ...` behind `input`.
  expression filters(expression input);
  /// The next token is this sign, though the source has none there.
  void put_sign(std::string s) { tokens_.insert(tokens_.begin() + static_cast<std::ptrdiff_t>(at_), {token::sign, std::move(s), peek().line}); }

private:
  expression tuple_of(expression (expression_reader::*part)());
  void link();
  expression conjunction();
  expression negation();
  expression comparison();
  expression left_to_right(std::initializer_list<std::string_view> signs, expression (expression_reader::*side)());
  expression sum();
  expression joined();
  expression product();
  expression power();
  expression unary();
  expression signed_operand();
  expression behind_filters(expression e);
  expression predicate_of(expression e);
  expression one_filter(expression e);
  expression operand();
  expression postfix(expression e);
  expression named(token t);
  expression attribute_of(expression e);
  expression item_of(expression e);
  expression call_of(expression e, const std::string& method_name);
  expression list_literal();
  expression dict_literal();
  expression in_brackets();
  std::function<arguments(frame&)> call_arguments_in_brackets();

  std::vector<token> tokens_;
  std::string where_;
  std::size_t at_ = 0;
  std::uint32_t depth_ = 0, links_ = 0;
};

/// The expression of a fixed value.
expression constant(value v);

} // namespace virga::models::jinja
