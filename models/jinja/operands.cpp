// What expressions are made of: literals, names, and the attributes, items and calls behind them.
#include "models/defaults.hpp"
#include "models/hf/json.hpp"
#include "models/jinja/builtins.hpp"
#include "models/jinja/expressions.hpp"

#include <charconv>

namespace virga::models::jinja {

expression constant(value v) {
  return [v = std::move(v)](frame&) { return v; };
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
