// Jinja's filters.
#include "models/chat_template.hpp"
#include "models/jinja/builtins.hpp"
#include "models/jinja/text_tools.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

namespace virga::models::jinja {

namespace {

bool flag(const arguments& a, std::size_t i, const char* name, bool other = false) {
  auto* v = a.find(i, name);
  return v ? truth(*v) : other;
}

text text_of(const value& v) { return v.as_text() ? *v.as_text() : str(v); }

value trim(frame& f, const value& v, const arguments& a) {
  auto* chars = a.find(0, "chars");
  auto t = text_of(v);
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
  auto t = text_of(v);
  f.charge(t.bytes.size());
  return Change(t);
}

value join(frame& f, const value& v, const arguments& a) {
  auto* separator = a.find(0, "d");
  auto* path = a.find(1, "attribute");
  auto between = separator ? text_of(*separator) : text();
  text out;
  bool first = true;
  auto all = items_of(v);
  for (auto& i : all->items) {
    if (!std::exchange(first, false))
      out += between;
    out += text_of(path ? attribute_path(i, str(*path).bytes) : i);
    f.charge(between.bytes.size() + 64);
  }
  f.charge(out.bytes.size());
  return out;
}

value replace(frame& f, const value& v, const arguments& a) {
  auto* count = a.find(2, "count");
  return replaced(f, text_of(v), text_of(a.at(0, "old")).bytes, text_of(a.at(1, "new")),
                  count && !count->is_none() ? need_whole(*count, "count") : -1);
}

value otherwise(frame&, const value& v, const arguments& a) {
  bool missing = v.is_undefined() || (flag(a, 1, "boolean") && !truth(v));
  auto* other = a.find(0, "default_value");
  return !missing ? v : other ? *other : value(text());
}

value end_of(const value& v, bool front) {
  auto items = items_of(v);
  if (items->items.empty())
    return value::variant(undefined{front ? "the first item of nothing" : "the last item of nothing"});
  return front ? items->items.front() : items->items.back();
}
value first(frame&, const value& v, const arguments&) { return end_of(v, true); }
value last(frame&, const value& v, const arguments&) { return end_of(v, false); }

value to_list(frame& f, const value& v, const arguments&) {
  auto items = items_of(v);
  f.charge(items->items.size() * 64);
  return list{items->items, false};
}

value reverse(frame& f, const value& v, const arguments&) {
  auto items = items_of(v);
  f.charge(items->items.size() * 64);
  list out{{items->items.rbegin(), items->items.rend()}, false};
  if (!v.as_text())
    return out;
  text t;
  for (auto& i : out.items)
    t += *i.as_text();
  return t;
}

value map_items(frame& f, const value& v, const arguments& a) {
  list out;
  auto* path = a.find(99, "attribute");
  auto* other = a.find(99, "default");
  auto name = path ? "" : need_text(a.at(0, "filter"), "map()'s filter").bytes;
  auto run = path ? nullptr : find_filter(name);
  if (!path && !run)
    complain("the filter \"" + name + "\" cannot be run so far");
  arguments rest;
  if (!path)
    rest = {{a.positional.begin() + 1, a.positional.end()}, a.named};
  auto all = items_of(v);
  for (auto& i : all->items) {
    f.charge(64);
    auto made = path ? attribute_path(i, str(*path).bytes) : run(f, i, rest);
    out.items.push_back(path && other && made.is_undefined() ? *other : made);
  }
  return out;
}

/// select, reject, selectattr, rejectattr. @param skip arguments before the test's name
value chosen(frame& f, const value& v, const arguments& a, bool wanted, bool by_attribute) {
  std::size_t skip = by_attribute ? 1 : 0;
  auto path = by_attribute ? str(a.at(0, "attribute")).bytes : "";
  predicate test = nullptr;
  arguments rest;
  if (a.positional.size() > skip) {
    auto& name = need_text(a.positional[skip], "the test").bytes;
    test = find_predicate(name);
    if (!test)
      complain("the test \"" + name + "\" cannot be run so far");
    rest.positional.assign(a.positional.begin() + static_cast<std::ptrdiff_t>(skip) + 1, a.positional.end());
  }
  list out;
  auto all = items_of(v);
  for (auto& i : all->items) {
    f.charge(64);
    auto subject = by_attribute ? attribute_path(i, path) : i;
    if ((test ? test(subject, rest) : truth(subject)) == wanted)
      out.items.push_back(i);
  }
  return out;
}
value select(frame& f, const value& v, const arguments& a) { return chosen(f, v, a, true, false); }
value reject(frame& f, const value& v, const arguments& a) { return chosen(f, v, a, false, false); }
value selectattr(frame& f, const value& v, const arguments& a) { return chosen(f, v, a, true, true); }
value rejectattr(frame& f, const value& v, const arguments& a) { return chosen(f, v, a, false, true); }

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

value pairs(frame& f, const value& v, const arguments&) {
  if (v.is_undefined())
    return list{};
  if (!v.as_dict())
    complain("items needs a mapping, not " + kind_of(v));
  list out;
  for (auto& [key, item] : v.as_dict()->items)
    out.items.push_back(list{{key, item}, true});
  f.charge(out.items.size() * 64);
  return out;
}

text folded(const value& v) { return lowercase(text_of(v)); }

bool comes_before(const value& a, const value& b, bool by_case) {
  return !by_case && a.as_text() && b.as_text() ? folded(a).bytes < folded(b).bytes : less(a, b);
}

void sort_by(std::vector<value>& items, bool reversed, bool by_case, const std::function<value(const value&)>& key) {
  std::stable_sort(items.begin(), items.end(), [&](auto& a, auto& b) {
    return reversed ? comes_before(key(b), key(a), by_case) : comes_before(key(a), key(b), by_case);
  });
}

value sorted(frame& f, const value& v, const arguments& a) {
  list out{items_of(v)->items, false};
  f.charge(out.items.size() * 1024);
  auto* path = a.find(2, "attribute");
  sort_by(out.items, flag(a, 0, "reverse"), flag(a, 1, "case_sensitive"), [&](auto& i) {
    return path && !path->is_none() ? attribute_path(i, str(*path).bytes) : i;
  });
  return out;
}

value dictsort(frame& f, const value& v, const arguments& a) {
  auto* by = a.find(1, "by");
  auto place = by && need_text(*by, "dictsort's by").bytes == "value" ? std::int64_t{1} : std::int64_t{0};
  auto out = *pairs(f, v, {}).as_list();
  f.charge(out.items.size() * 1024);
  sort_by(out.items, flag(a, 2, "reverse"), flag(a, 0, "case_sensitive"), [&](auto& i) { return item(i, place); });
  return out;
}

value unique(frame& f, const value& v, const arguments& a) {
  bool by_case = flag(a, 0, "case_sensitive");
  auto* path = a.find(1, "attribute");
  list out, seen;
  auto all = items_of(v);
  for (auto& i : all->items) {
    auto key = path && !path->is_none() ? attribute_path(i, str(*path).bytes) : i;
    if (!by_case && key.as_text())
      key = folded(key);
    f.charge(seen.items.size() * 64);
    if (contains(seen, key))
      continue;
    seen.items.push_back(key);
    out.items.push_back(i);
  }
  return out;
}

value extreme(const value& v, bool largest) {
  auto items = items_of(v);
  if (items->items.empty())
    return value::variant(undefined{"the extreme of nothing"});
  auto best = items->items.front();
  for (auto& i : items->items)
    if (largest ? comes_before(best, i, false) : comes_before(i, best, false))
      best = i;
  return best;
}
value smallest(frame&, const value& v, const arguments&) { return extreme(v, false); }
value largest(frame&, const value& v, const arguments&) { return extreme(v, true); }

value sum(frame& f, const value& v, const arguments& a) {
  auto* path = a.find(0, "attribute");
  value out = std::int64_t{0};
  auto all = items_of(v);
  for (auto& i : all->items)
    out = arithmetic(f, "+", out, path && !path->is_none() ? attribute_path(i, str(*path).bytes) : i);
  return out;
}

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
  auto lines = split_at(text_of(v), "\n", -1, false);
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
  auto t = text_of(v);
  for (auto [from, to] : {std::pair{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}})
    t = replaced(f, t, from, to, -1);
  return t;
}

} // namespace

filter find_filter(std::string_view name) {
  static const std::map<std::string_view, filter> table{
    {"trim", trim}, {"length", length}, {"count", length}, {"upper", changed<uppercase>}, {"lower", changed<lowercase>},
    {"title", changed<jinja_title>}, {"capitalize", changed<capitalized>}, {"join", join}, {"replace", replace},
    {"default", otherwise}, {"d", otherwise}, {"first", first}, {"last", last}, {"list", to_list}, {"reverse", reverse},
    {"map", map_items}, {"select", select}, {"reject", reject}, {"selectattr", selectattr}, {"rejectattr", rejectattr},
    {"tojson", tojson}, {"string", to_text}, {"int", to_whole}, {"float", to_float}, {"abs", absolute}, {"round", rounded},
    {"safe", as_is}, {"items", pairs}, {"sort", sorted}, {"dictsort", dictsort}, {"unique", unique}, {"min", smallest},
    {"max", largest}, {"sum", sum}, {"indent", indent}, {"escape", escaped}, {"e", escaped}};
  auto it = table.find(name);
  return it == table.end() ? nullptr : it->second;
}

} // namespace virga::models::jinja
