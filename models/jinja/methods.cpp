// Python's methods of strings and mappings, and those of loops.
#include "models/hf/tok/utf8.hpp"
#include "models/jinja/builtins.hpp"
#include "models/jinja/text_tools.hpp"

#include <algorithm>
#include <map>

namespace virga::models::jinja {

namespace {

const text& self_text(const value& v) { return *v.as_text(); }

/// Whether one of the strings (or of a tuple of them) fits.
template <class Fits>
bool any_fits(const value& v, Fits fits) {
  if (auto* l = v.as_list())
    return std::any_of(l->items.begin(), l->items.end(), [&](auto& i) { return any_fits(i, fits); });
  return fits(need_text(v, "what is looked for").bytes);
}

value starts_with(frame&, const value& s, const arguments& a) {
  a.at_most(1, "startswith()");
  return any_fits(a.at(0, "prefix"), [&](auto& p) { return self_text(s).bytes.starts_with(p); });
}

value ends_with(frame&, const value& s, const arguments& a) {
  a.at_most(1, "endswith()");
  return any_fits(a.at(0, "suffix"), [&](auto& p) { return self_text(s).bytes.ends_with(p); });
}

std::string strip_set(const arguments& a) {
  auto* chars = a.find(0, "chars");
  return chars && !chars->is_none() ? need_text(*chars, "the characters to strip").bytes : "";
}

value strip(frame&, const value& s, const arguments& a) { return stripped(self_text(s), strip_set(a), true, true); }
value lstrip(frame&, const value& s, const arguments& a) { return stripped(self_text(s), strip_set(a), true, false); }
value rstrip(frame&, const value& s, const arguments& a) { return stripped(self_text(s), strip_set(a), false, true); }

value split_with(frame& f, const value& s, const arguments& a, bool from_right) {
  auto* separator = a.find(0, "sep");
  auto* limit = a.find(1, "maxsplit");
  auto most = limit ? need_whole(*limit, "maxsplit") : -1;
  auto parts = !separator || separator->is_none() ? split_at_spaces(self_text(s), most, from_right)
                                                  : split_at(self_text(s), need_text(*separator, "the separator").bytes, most, from_right);
  f.charge(self_text(s).bytes.size() + parts.size() * 64);
  list out;
  out.items.assign(parts.begin(), parts.end());
  return out;
}

value split(frame& f, const value& s, const arguments& a) { return split_with(f, s, a, false); }
value rsplit(frame& f, const value& s, const arguments& a) { return split_with(f, s, a, true); }

value splitlines(frame& f, const value& s, const arguments& a) {
  a.at_most(0, "splitlines()");
  auto& t = self_text(s);
  f.charge(t.bytes.size());
  list out;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < t.bytes.size(); ++i) {
    if (t.bytes[i] != '\n' && t.bytes[i] != '\r')
      continue;
    out.items.push_back(t.slice(begin, i));
    if (t.bytes[i] == '\r' && i + 1 < t.bytes.size() && t.bytes[i + 1] == '\n')
      ++i;
    begin = i + 1;
  }
  if (begin < t.bytes.size())
    out.items.push_back(t.slice(begin, t.bytes.size()));
  return out;
}

value replace(frame& f, const value& s, const arguments& a) {
  auto* count = a.find(2, "count");
  return replaced(f, self_text(s), need_text(a.at(0, "old"), "what to replace").bytes, need_text(a.at(1, "new"), "the replacement"),
                  count && !count->is_none() ? need_whole(*count, "count") : -1);
}

template <text (*Change)(const text&)>
value changed(frame& f, const value& s, const arguments& a) {
  a.at_most(0, "the method");
  f.charge(self_text(s).bytes.size());
  return Change(self_text(s));
}

/// The character where `byte` stands.
value character_at(const text& t, std::size_t byte) {
  return byte == std::string::npos ? std::int64_t{-1}
                                   : static_cast<std::int64_t>(character_count(std::string_view(t.bytes).substr(0, byte)));
}

value find(frame&, const value& s, const arguments& a) {
  a.at_most(1, "find()");
  return character_at(self_text(s), self_text(s).bytes.find(need_text(a.at(0, "sub"), "what to find").bytes));
}

value rfind(frame&, const value& s, const arguments& a) {
  a.at_most(1, "rfind()");
  return character_at(self_text(s), self_text(s).bytes.rfind(need_text(a.at(0, "sub"), "what to find").bytes));
}

value count(frame&, const value& s, const arguments& a) {
  a.at_most(1, "count()");
  auto& what = need_text(a.at(0, "sub"), "what to count").bytes;
  if (what.empty())
    return static_cast<std::int64_t>(character_count(self_text(s).bytes)) + 1;
  std::int64_t n = 0;
  for (auto at = self_text(s).bytes.find(what); at != std::string::npos; at = self_text(s).bytes.find(what, at + what.size()))
    ++n;
  return n;
}

value join(frame& f, const value& s, const arguments& a) {
  text out;
  bool first = true;
  auto all = items_of(a.at(0, "iterable"));
  for (auto& i : all->items) {
    if (!std::exchange(first, false))
      out += self_text(s);
    out += need_text(i, "what join() joins");
    f.charge(64);
  }
  f.charge(out.bytes.size());
  return out;
}

value remove_prefix(frame&, const value& s, const arguments& a) {
  auto& t = self_text(s);
  auto& p = need_text(a.at(0, "prefix"), "the prefix").bytes;
  return t.bytes.starts_with(p) ? t.slice(p.size(), t.bytes.size()) : t;
}

value remove_suffix(frame&, const value& s, const arguments& a) {
  auto& t = self_text(s);
  auto& p = need_text(a.at(0, "suffix"), "the suffix").bytes;
  return !p.empty() && t.bytes.ends_with(p) ? t.slice(0, t.bytes.size() - p.size()) : t;
}

template <bool (*Fits)(char32_t)>
value all_characters(frame&, const value& s, const arguments&) {
  auto& t = self_text(s).bytes;
  bool all = !t.empty();
  for (std::size_t at = 0; at < t.size() && all;) {
    auto c = hf::tok::utf8_front(std::string_view(t).substr(at));
    all = Fits(c.value);
    at += c.length;
  }
  return all;
}

value get(frame&, const value& m, const arguments& a) {
  if (auto* v = m.as_dict()->find(a.at(0, "key")))
    return *v;
  auto* other = a.find(1, "default");
  return other ? *other : value::variant(none{});
}

value pair_list(const value& m, bool keys, bool values) {
  list out;
  for (auto& [k, v] : m.as_dict()->items)
    if (keys && values)
      out.items.push_back(list{{k, v}, true});
    else
      out.items.push_back(keys ? k : v);
  return out;
}

value items(frame& f, const value& m, const arguments&) {
  f.charge(m.as_dict()->items.size() * 64);
  return pair_list(m, true, true);
}
value keys(frame&, const value& m, const arguments&) { return pair_list(m, true, false); }
value values(frame&, const value& m, const arguments&) { return pair_list(m, false, true); }

value cycle(frame&, const value& l, const arguments& a) {
  if (a.positional.empty())
    complain("loop.cycle() has nothing to choose from");
  return a.positional[l.as_loop()->index0 % a.positional.size()];
}

value loop_changed(frame&, const value& l, const arguments& a) {
  auto& last = l.as_loop()->last_changed;
  bool same = std::equal(last.begin(), last.end(), a.positional.begin(), a.positional.end(), equal);
  last = a.positional;
  return !same || a.positional.empty();
}

using table = std::map<std::string_view, method>;

const table& text_methods() {
  static const table t{{"startswith", starts_with}, {"endswith", ends_with}, {"strip", strip}, {"lstrip", lstrip},
                       {"rstrip", rstrip}, {"split", split}, {"rsplit", rsplit}, {"splitlines", splitlines},
                       {"replace", replace}, {"upper", changed<uppercase>}, {"lower", changed<lowercase>},
                       {"title", changed<titlecase>}, {"capitalize", changed<capitalized>}, {"find", find}, {"rfind", rfind},
                       {"count", count}, {"join", join}, {"removeprefix", remove_prefix}, {"removesuffix", remove_suffix},
                       {"isdigit", all_characters<is_decimal>}, {"isspace", all_characters<is_space>},
                       {"isalpha", all_characters<is_letter>}};
  return t;
}

const table& mapping_methods() {
  static const table t{{"get", get}, {"items", items}, {"keys", keys}, {"values", values}};
  return t;
}

const table& loop_methods() {
  static const table t{{"cycle", cycle}, {"changed", loop_changed}};
  return t;
}

} // namespace

bool is_method(std::string_view name) {
  return text_methods().contains(name) || mapping_methods().contains(name) || loop_methods().contains(name);
}

method find_method(const value& self, std::string_view name) {
  auto* t = self.as_text() ? &text_methods() : self.as_dict() ? &mapping_methods() : self.as_loop() ? &loop_methods() : nullptr;
  if (!t)
    return nullptr;
  auto it = t->find(name);
  return it == t->end() ? nullptr : it->second;
}

} // namespace virga::models::jinja
