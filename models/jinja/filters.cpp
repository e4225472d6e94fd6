// Jinja's filters of texts and numbers; those of lists are in list_filters.cpp.
#include "models/chat_template.hpp"
#include "models/jinja/builtins.hpp"
#include "models/jinja/text_tools.hpp"

#include <charconv>
#include <cmath>
#include <map>

namespace virga::models::jinja {

namespace {

value trim(frame& f, const value& v, const arguments& a) {
  auto* chars = a.find(0, "chars");
  auto t = str(v);
  f.charge(t.bytes.size());
  return stripped(t, chars && !chars->is_none() ? need_text(*chars, "the characters to trim").bytes : "", true, true);
}

value length(frame&, const value& v, const arguments&) {
  if (auto* t = v.as_text())
    return static_cast<std::int64_t>(character_count(t->bytes));
  if (auto* d = v.as_dict())
    return static_cast<std::int64_t>(d->items.size());
  return static_cast<std::int64_t>(items_of(v)->items.size());
}

template <text (*Change)(const text&)>
value changed(frame& f, const value& v, const arguments&) {
  auto t = str(v);
  f.charge(t.bytes.size());
  return Change(t);
}

value replace(frame& f, const value& v, const arguments& a) {
  auto* count = a.find(2, "count");
  return replaced(f, str(v), str(a.at(0, "old")).bytes, str(a.at(1, "new")),
                  count && !count->is_none() ? need_whole(*count, "count") : -1);
}

value otherwise(frame&, const value& v, const arguments& a) {
  bool missing = v.is_undefined() || (flag(a, 1, "boolean") && !truth(v));
  auto* other = a.find(0, "default_value");
  return !missing ? v : other ? *other : value(text());
}

value tojson(frame& f, const value& v, const arguments& a) {
  auto* indent = a.find(1, "indent");
  auto* separators = a.find(2, "separators");
  auto spaces = indent && !indent->is_none() ? need_whole(*indent, "indent") : -1;
  if (spaces > 64)
    complain("tojson's indent is " + std::to_string(spaces) + "; at most 64 can be");
  std::string between = spaces >= 0 ? "," : ", ", behind_key = ": ";
  if (separators && !separators->is_none()) {
    auto both = items_of(*separators);
    if (both->items.size() != 2)
      complain("tojson's separators must be two strings");
    between = need_text(both->items[0], "a separator").bytes;
    behind_key = need_text(both->items[1], "a separator").bytes;
  }
  auto out = to_json(v, spaces, flag(a, 3, "sort_keys"), between, behind_key, flag(a, 0, "ensure_ascii"));
  f.charge(out.bytes.size());
  return out;
}

value to_text(frame& f, const value& v, const arguments&) {
  auto out = str(v);
  f.charge(out.bytes.size());
  return out;
}

value to_whole(frame&, const value& v, const arguments& a) {
  auto* other = a.find(0, "default");
  if (auto* d = v.as<double>(); d && std::abs(*d) < 9e18)
    return static_cast<std::int64_t>(*d);
  if (v.is_whole())
    return v.whole();
  if (auto* t = v.as_text()) {
    auto s = stripped(*t, "", true, true).bytes;
    auto digits = s.starts_with('+') ? s.substr(1) : s;
    std::int64_t n = 0;
    if (auto r = std::from_chars(digits.data(), digits.data() + digits.size(), n);
        r.ec == std::errc{} && r.ptr == digits.data() + digits.size())
      return n;
  }
  return other ? *other : value(std::int64_t{0});
}

value to_float(frame&, const value& v, const arguments& a) {
  auto* other = a.find(0, "default");
  if (v.is_number())
    return v.number();
  if (auto* t = v.as_text()) {
    auto s = stripped(*t, "", true, true).bytes;
    double d = 0;
    if (auto r = std::from_chars(s.data(), s.data() + s.size(), d); r.ec == std::errc{} && r.ptr == s.data() + s.size())
      return d;
  }
  return other ? *other : value(0.0);
}

value absolute(frame& f, const value& v, const arguments&) {
  if (!v.is_number())
    complain("abs needs a number, not " + kind_of(v));
  return v.number() < 0 ? arithmetic(f, "*", v, std::int64_t{-1}) : v;
}

value rounded(frame&, const value& v, const arguments& a) {
  auto* digits = a.find(0, "precision");
  auto* how = a.find(1, "method");
  auto places = digits ? need_whole(*digits, "round's precision") : 0;
  auto way = how ? need_text(*how, "round's method").bytes : "common";
  if (!v.is_number() || places < -15 || places > 15)
    complain("round needs a number and a precision from -15 to 15");
  auto scale = std::pow(10.0, static_cast<double>(places));
  auto x = v.number() * scale;
  return (way == "ceil" ? std::ceil(x) : way == "floor" ? std::floor(x) : std::nearbyint(x)) / scale;
}

value as_is(frame&, const value& v, const arguments&) { return v; }

value indent(frame& f, const value& v, const arguments& a) {
  auto* width = a.find(0, "width");
  text space;
  if (width && width->as_text())
    space = *width->as_text();
  else {
    auto n = width ? need_whole(*width, "indent's width") : 4;
    if (n > 1000)
      complain("indent's width is " + std::to_string(n) + "; at most 1000 can be");
    space = std::string(static_cast<std::size_t>(std::max<std::int64_t>(n, 0)), ' ');
  }
  auto lines = split_at(str(v), "\n", -1, false);
  bool blank = flag(a, 2, "blank"), head = flag(a, 1, "first");
  text out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0)
      out += "\n";
    if (i > 0 ? blank || !lines[i].bytes.empty() : head)
      out += space;
    out += lines[i];
    f.charge(space.bytes.size() + lines[i].bytes.size());
  }
  return out;
}

value escaped(frame& f, const value& v, const arguments&) {
  auto t = str(v);
  for (auto [from, to] : {std::pair{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}})
    t = replaced(f, t, from, to, -1);
  return t;
}

} // namespace

filter find_filter(std::string_view name) {
  static const std::map<std::string_view, filter> table{
    {"trim", trim}, {"length", length}, {"count", length}, {"upper", changed<uppercase>},
    {"lower", changed<lowercase>}, {"title", changed<jinja_title>}, {"capitalize", changed<capitalized>},
    {"replace", replace}, {"default", otherwise}, {"d", otherwise}, {"tojson", tojson}, {"string", to_text},
    {"int", to_whole}, {"float", to_float}, {"abs", absolute}, {"round", rounded}, {"safe", as_is}, {"indent", indent},
    {"escape", escaped}, {"e", escaped}};
  auto it = table.find(name);
  return it == table.end() ? find_list_filter(name) : it->second;
}

} // namespace virga::models::jinja
