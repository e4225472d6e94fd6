#include "models/jinja/expressions.hpp"

#include "models/chat_template.hpp"
#include "models/defaults.hpp"
#include "models/hf/json.hpp"
#include "models/jinja/builtins.hpp"

#include <algorithm>
#include <charconv>

namespace virga::models::jinja {

expression constant(value v) {
  return [v = std::move(v)](frame&) { return v; };
}

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

expression expression_reader::operand() {
  auto t = peek();
  if (take("("))
    return in_brackets();
  if (take("["))
    return list_literal();
  if (take("{"))
    return dict_literal();
  ++at_;
  switch (t.kind) {
    case token::string: {
      auto all = t.text;
      while (peek().kind == token::string)
        all += next().text;
      return constant(text(all));
    }
    case token::whole: {
      std::int64_t n = 0;
      auto read = std::from_chars(t.text.data(), t.text.data() + t.text.size(), n);
      if (read.ec != std::errc{})
        fail("the number " + t.text + " is too large");
      return constant(n);
    }
    case token::number: {
      double d = 0;
      std::from_chars(t.text.data(), t.text.data() + t.text.size(), d);
      return constant(d);
    }
    case token::name: return named(t);
    default: --at_; fail(t.text.empty() ? "an expression is missing" : hf::in_quotes(t.text) + " is no expression");
  }
}

expression expression_reader::named(token t) {
  for (auto [word, b] : {std::pair{"true", true}, {"True", true}, {"false", false}, {"False", false}})
    if (t.text == word)
      return constant(b);
  if (t.text == "none" || t.text == "None")
    return constant(value::variant(none{}));
  for (auto word : {"if", "else", "for", "in", "is", "and", "or", "not"})
    if (t.text == word) {
      --at_;
      fail("an expression is missing before " + hf::in_quotes(t.text));
    }
  return [name = t.text](frame& f) { return f.lookup(name); };
}

expression expression_reader::in_brackets() {
  if (take(")"))
    return constant(list{{}, true});
  auto e = tuple();
  need(")");
  return e;
}

expression expression_reader::list_literal() {
  std::vector<expression> all;
  while (!take("]")) {
    all.push_back(conditional());
    if (!peek().is("]"))
      need(",");
  }
  return [all](frame& f) {
    list out;
    for (auto& e : all)
      out.items.push_back(e(f));
    f.charge(out.items.size());
    return value(out);
  };
}

expression expression_reader::dict_literal() {
  std::vector<std::pair<expression, expression>> all;
  while (!take("}")) {
    auto key = conditional();
    need(":");
    all.emplace_back(key, conditional());
    if (!peek().is("}"))
      need(",");
  }
  return [all](frame& f) {
    dict out;
    for (auto& [key, v] : all) {
      auto k = key(f);
      out.set(std::move(k), v(f));
    }
    f.charge(out.items.size());
    return value(out);
  };
}

expression expression_reader::postfix(expression e) {
  for (;; link())
    if (take("."))
      e = attribute_of(std::move(e));
    else if (take("["))
      e = item_of(std::move(e));
    else if (peek().is("("))
      e = call_of(std::move(e), "");
    else
      return e;
}

expression expression_reader::attribute_of(expression e) {
  if (peek().kind == token::whole)
    return [e, key = value(std::int64_t{std::stoi(next().text.substr(0, 9))})](frame& f) { return item(e(f), key); };
  auto name = need_name();
  if (!peek().is("("))
    return [e, name](frame& f) { return attribute(e(f), name); };
  if (!is_method(name))
    fail("the method ." + name + "() cannot be run so far");
  return call_of(std::move(e), name);
}

expression expression_reader::item_of(expression e) {
  auto absent = constant(value::variant(none{}));
  auto part = [&]() { return peek().is(":") || peek().is("]") ? absent : conditional(); };
  auto begin = part();
  if (take("]"))
    return [e, begin](frame& f) {
      auto v = e(f);
      return item(v, begin(f));
    };
  need(":");
  auto end = part();
  auto step = take(":") ? part() : absent;
  need("]");
  return [e, begin, end, step](frame& f) {
    auto v = e(f);
    f.charge(v.as_text() ? v.as_text()->bytes.size() : 0);
    auto from = begin(f), to = end(f);
    return slice(v, from, to, step(f));
  };
}

expression expression_reader::call_of(expression e, const std::string& method_name) {
  auto args = call_arguments_in_brackets();
  auto line = peek().line;
  if (!method_name.empty())
    return [e, args, method_name](frame& f) {
      auto self = e(f);
      f.charge();
      if (auto m = find_method(self, method_name))
        return m(f, self, args(f));
      auto v = attribute(self, method_name);
      if (auto* callee = v.as_function())
        return callee->call(f, args(f));
      complain(kind_of(self) + " has no method " + method_name + "()");
    };
  return [e, args, line](frame& f) {
    auto v = e(f);
    f.charge();
    if (auto* callee = v.as_function())
      return callee->call(f, args(f));
    auto* u = v.as<undefined>();
    complain("line " + std::to_string(line) + ": " + (u ? u->name + " is undefined" : kind_of(v) + " is no function"));
  };
}

std::function<arguments(frame&)> expression_reader::call_arguments_in_brackets() {
  need("(");
  std::vector<expression> positional;
  std::vector<std::pair<std::string, expression>> named_ones;
  while (!take(")")) {
    if (peek().is("*") || peek().is("**"))
      fail("arguments given with " + peek().text + " cannot be run so far");
    if (peek().kind == token::name && peek(1).is("=")) {
      auto name = next().text;
      need("=");
      named_ones.emplace_back(name, conditional());
    } else {
      positional.push_back(conditional());
    }
    if (!peek().is(")"))
      need(",");
  }
  return [positional, named_ones](frame& f) {
    arguments out;
    for (auto& e : positional)
      out.positional.push_back(e(f));
    for (auto& [name, e] : named_ones)
      out.named.emplace_back(name, e(f));
    return out;
  };
}

} // namespace virga::models::jinja
