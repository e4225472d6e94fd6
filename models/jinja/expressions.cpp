#include "models/jinja/expressions.hpp"

#include "models/chat_template.hpp"
#include "models/defaults.hpp"
#include "models/hf/json.hpp"
#include "models/jinja/builtins.hpp"

#include <algorithm>

namespace virga::models::jinja {

bool expression_reader::take(std::string_view s) {
  if (!peek().is(s))
    return false;
  ++at_;
  return true;
}

void expression_reader::need(std::string_view s) {
  if (!take(s))
    fail("expected `" + std::string(s) + "`" + (peek().text.empty() ? "" : ", found " + hf::in_quotes(peek().text)));
}

std::string expression_reader::need_name() {
  if (peek().kind != token::name)
    fail("expected a name" + (peek().text.empty() ? "" : ", found " + hf::in_quotes(peek().text)));
  return next().text;
}

void expression_reader::link() {
  if (++links_ > defaults::template_links)
    fail("an expression has more than " + std::to_string(defaults::template_links) + " parts");
}

expression expression_reader::tuple() { return tuple_of(&expression_reader::conditional); }

expression expression_reader::tuple_without_condition() { return tuple_of(&expression_reader::disjunction); }

expression expression_reader::tuple_of(expression (expression_reader::*part)()) {
  auto ends = [&] {
    auto& t = peek();
    return t.kind == token::print_end || t.kind == token::block_end || t.is(")");
  };
  auto first = (this->*part)();
  if (!peek().is(","))
    return first;
  std::vector<expression> all{first};
  while (take(",") && !ends())
    all.push_back((this->*part)());
  return [all](frame& f) {
    list out;
    out.tuple = true;
    for (auto& e : all)
      out.items.push_back(e(f));
    return value(out);
  };
}

expression expression_reader::conditional() {
  struct level {
    std::uint32_t& depth;
    ~level() { --depth; }
  } nested{depth_};
  if (depth_ == 0)
    links_ = 0;
  if (++depth_ > defaults::template_depth)
    fail("an expression nests more than " + std::to_string(defaults::template_depth) + " brackets");
  auto yes = disjunction();
  while (take("if")) {
    auto question = disjunction();
    expression no = [](frame&) { return value::variant(undefined{"the missing else"}); };
    if (take("else"))
      no = conditional();
    yes = [yes, question, no](frame& f) { return truth(question(f)) ? yes(f) : no(f); };
  }
  return yes;
}

expression expression_reader::disjunction() {
  auto left = conjunction();
  for (; take("or"); link())
    left = [left, right = conjunction()](frame& f) {
      f.charge();
      auto v = left(f);
      return truth(v) ? v : right(f);
    };
  return left;
}

expression expression_reader::conjunction() {
  auto left = negation();
  for (; take("and"); link())
    left = [left, right = negation()](frame& f) {
      f.charge();
      auto v = left(f);
      return truth(v) ? right(f) : v;
    };
  return left;
}

expression expression_reader::negation() {
  std::size_t count = 0;
  while (take("not"))
    ++count;
  if (count == 0)
    return comparison();
  return [e = comparison(), no = count % 2 == 1](frame& f) { return value(truth(e(f)) != no); };
}

namespace {

using relation = bool (*)(const value&, const value&);

relation relation_of(const token& t) {
  if (t.is("=="))
    return equal;
  if (t.is("!="))
    return [](auto& a, auto& b) { return !equal(a, b); };
  if (t.is("<"))
    return less;
  if (t.is(">"))
    return [](auto& a, auto& b) { return less(b, a); };
  if (t.is("<="))
    return [](auto& a, auto& b) { return !less(b, a); };
  if (t.is(">="))
    return [](auto& a, auto& b) { return !less(a, b); };
  if (t.is("in"))
    return [](auto& a, auto& b) { return contains(b, a); };
  return nullptr;
}

} // namespace

expression expression_reader::comparison() {
  auto first = sum();
  std::vector<std::pair<relation, expression>> rest;
  for (;;)
    if (peek().is("not") && peek(1).is("in")) {
      at_ += 2;
      rest.emplace_back([](auto& a, auto& b) { return !contains(b, a); }, sum());
    } else if (auto r = relation_of(peek())) {
      ++at_;
      rest.emplace_back(r, sum());
    } else {
      break;
    }
  if (rest.empty())
    return first;
  return [first, rest](frame& f) {
    f.charge();
    auto left = first(f);
    for (auto& [holds, side] : rest) {
      auto right = side(f);
      if (!holds(left, right))
        return value(false);
      left = right;
    }
    return value(true);
  };
}

expression expression_reader::left_to_right(std::initializer_list<std::string_view> signs,
                                            expression (expression_reader::*side)()) {
  auto left = (this->*side)();
  for (;;) {
    auto it = std::find_if(signs.begin(), signs.end(), [&](auto s) { return peek().kind == token::sign && peek().text == s; });
    if (it == signs.end())
      return left;
    ++at_;
    link();
    left = [left, right = (this->*side)(), sign = std::string(*it)](frame& f) {
      auto a = left(f);
      auto b = right(f);
      if (sign != "~")
        return arithmetic(f, sign, a, b);
      auto out = str(a);
      out += str(b);
      f.charge(out.bytes.size());
      return value(out);
    };
  }
}

expression expression_reader::sum() { return left_to_right({"+", "-"}, &expression_reader::joined); }
expression expression_reader::joined() { return left_to_right({"~"}, &expression_reader::product); }
expression expression_reader::product() { return left_to_right({"*", "/", "//", "%"}, &expression_reader::power); }
expression expression_reader::power() { return left_to_right({"**"}, &expression_reader::unary); }

expression expression_reader::unary() { return behind_filters(signed_operand()); }

expression expression_reader::signed_operand() {
  bool minus = false, any = false;
  for (; peek().is("-") || peek().is("+"); any = true)
    minus ^= next().text == "-";
  auto e = postfix(operand());
  if (!any)
    return e;
  return [e, minus](frame& f) {
    auto v = e(f);
    if (!v.is_number())
      complain(kind_of(v) + " cannot have a sign");
    return arithmetic(f, "*", v, std::int64_t{minus ? -1 : 1});
  };
}

expression expression_reader::behind_filters(expression e) {
  for (;; link())
    if (peek().is("|"))
      e = one_filter(std::move(e));
    else if (take("is"))
      e = predicate_of(std::move(e));
    else if (peek().is("("))
      e = call_of(std::move(e), "");
    else
      return e;
}

expression expression_reader::filters(expression input) {
  for (; peek().is("|"); link())
    input = one_filter(std::move(input));
  return input;
}

expression expression_reader::one_filter(expression e) {
  need("|");
  auto name = need_name();
  auto f = find_filter(name);
  if (!f)
    fail("the filter " + hf::in_quotes(name) + " cannot be run so far");
  auto args = peek().is("(") ? call_arguments_in_brackets() : [](frame&) { return arguments{}; };
  return [e, f, args](frame& fr) {
    auto v = e(fr);
    fr.charge();
    return f(fr, v, args(fr));
  };
}

expression expression_reader::predicate_of(expression e) {
  bool no = take("not");
  auto name = need_name();
  auto p = find_predicate(name);
  if (!p)
    fail("the test " + hf::in_quotes(name) + " cannot be run so far");
  std::function<arguments(frame&)> args = [](frame&) { return arguments{}; };
  auto& t = peek();
  bool literal = t.kind == token::string || t.kind == token::whole || t.kind == token::number || t.is("[") || t.is("{");
  bool name_behind = t.kind == token::name && !t.is("else") && !t.is("or") && !t.is("and") && !t.is("if") && !t.is("is")
                     && !t.is("not") && !t.is("in");
  if (t.is("("))
    args = call_arguments_in_brackets();
  else if (literal || name_behind)
    args = [one = postfix(operand())](frame& f) { return arguments{{one(f)}, {}}; };
  if (peek().is("is"))
    fail("a test cannot follow a test; use brackets");
  return [e, p, args, no](frame& f) {
    f.charge();
    return value(p(e(f), args(f)) != no);
  };
}

} // namespace virga::models::jinja
