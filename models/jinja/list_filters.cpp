// Jinja's filters of lists and mappings.
#include "models/chat_template.hpp"
#include "models/jinja/builtins.hpp"
#include "models/jinja/text_tools.hpp"

#include <algorithm>
#include <map>

namespace virga::models::jinja {

namespace {

value join(frame& f, const value& v, const arguments& a) {
  auto* separator = a.find(0, "d");
  auto* path = a.find(1, "attribute");
  auto between = separator ? str(*separator) : text();
  text out;
  bool first = true;
  auto all = items_of(v);
  for (auto& i : all->items) {
    if (!std::exchange(first, false))
      out += between;
    out += str(path ? attribute_path(i, str(*path).bytes) : i);
    f.charge(between.bytes.size() + 64);
  }
  f.charge(out.bytes.size());
  return out;
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

text folded(const value& v) { return lowercase(str(v)); }

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

} // namespace

filter find_list_filter(std::string_view name) {
  static const std::map<std::string_view, filter> table{
    {"join", join}, {"first", first}, {"last", last}, {"list", to_list}, {"reverse", reverse}, {"map", map_items},
    {"select", select}, {"reject", reject}, {"selectattr", selectattr}, {"rejectattr", rejectattr}, {"items", pairs},
    {"sort", sorted}, {"dictsort", dictsort}, {"unique", unique}, {"min", smallest}, {"max", largest}, {"sum", sum}};
  auto it = table.find(name);
  return it == table.end() ? nullptr : it->second;
}

} // namespace virga::models::jinja
