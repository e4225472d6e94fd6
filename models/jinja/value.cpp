#include "models/jinja/value.hpp"

#include "models/chat_template.hpp"
#include "models/defaults.hpp"
#include "models/hf/tok/utf8.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace virga::models::jinja {

text& text::operator+=(const text& other) {
  if (!marks.empty() || !other.marks.empty()) {
    marks.resize(bytes.size(), '\0');
    marks += other.marks;
    marks.resize(bytes.size() + other.bytes.size(), '\0');
  }
  bytes += other.bytes;
  return *this;
}

text text::slice(std::size_t begin, std::size_t end) const {
  text out(bytes.substr(begin, end - begin));
  if (!marks.empty())
    out.marks = marks.substr(begin, end - begin);
  return out;
}

const value* dict::find(const value& key) const {
  for (auto& [k, v] : items)
    if (equal(k, key))
      return &v;
  return nullptr;
}

const value* dict::named(std::string_view key) const {
  for (auto& [k, v] : items)
    if (auto* t = k.as_text(); t && t->bytes == key)
      return &v;
  return nullptr;
}

void dict::set(value key, value v) {
  for (auto& [k, old] : items)
    if (equal(k, key)) {
      old = std::move(v);
      return;
    }
  items.emplace_back(std::move(key), std::move(v));
}

const value* arguments::find(std::size_t i, std::string_view name) const {
  if (i < positional.size())
    return &positional[i];
  for (auto& [n, v] : named)
    if (n == name)
      return &v;
  return nullptr;
}

const value& arguments::at(std::size_t i, std::string_view name) const {
  auto* v = find(i, name);
  if (!v)
    complain("the argument " + std::string(name) + " is missing");
  return *v;
}

void arguments::at_most(std::size_t n, const char* what) const {
  if (positional.size() + named.size() > n)
    complain(std::string(what) + " takes at most " + std::to_string(n) + " arguments");
}

std::uint32_t depth_inside(const value& v) {
  if (v.as_namespace())
    complain("a namespace cannot be put into another value");
  auto depth = 1 + (v.as_list() ? v.as_list()->depth : v.as_dict() ? v.as_dict()->depth : 0);
  if (depth > defaults::template_depth)
    complain("lists and mappings nest deeper than " + std::to_string(defaults::template_depth));
  return depth;
}

value::value(list l) {
  for (auto& i : l.items)
    l.depth = std::max(l.depth, depth_inside(i));
  v_ = std::make_shared<const list>(std::move(l));
}

value::value(dict d) {
  for (auto& [key, v] : d.items)
    d.depth = std::max({d.depth, depth_inside(key), depth_inside(v)});
  v_ = std::make_shared<const dict>(std::move(d));
}

std::int64_t value::whole() const { return as<bool>() ? *as<bool>() : *as<std::int64_t>(); }
double value::number() const { return as<double>() ? *as<double>() : static_cast<double>(whole()); }

void complain(const std::string& what) { throw bad_chat(what); }

std::string kind_of(const value& v) {
  static constexpr const char* names[] = {"undefined", "none", "a boolean", "a whole number", "a number", "a string",
                                          "a list", "a mapping", "a namespace", "a loop", "a function"};
  return names[v.raw().index()];
}

bool truth(const value& v) {
  if (v.is_number())
    return v.number() != 0;
  if (auto* t = v.as_text())
    return !t->bytes.empty();
  if (auto* l = v.as_list())
    return !l->items.empty();
  if (auto* d = v.as_dict())
    return !d->items.empty();
  return !v.is_undefined() && !v.is_none();
}

bool equal(const value& a, const value& b) {
  if (a.is_number() && b.is_number())
    return a.is_whole() && b.is_whole() ? a.whole() == b.whole() : a.number() == b.number();
  if (a.raw().index() != b.raw().index())
    return false;
  if (auto* t = a.as_text())
    return t->bytes == b.as_text()->bytes;
  if (auto* l = a.as_list()) {
    auto* r = b.as_list();
    return l->tuple == r->tuple && std::equal(l->items.begin(), l->items.end(), r->items.begin(), r->items.end(), equal);
  }
  if (auto* d = a.as_dict()) {
    auto* r = b.as_dict();
    return d->items.size() == r->items.size() && std::all_of(d->items.begin(), d->items.end(), [&](auto& item) {
             auto* other = r->find(item.first);
             return other && equal(item.second, *other);
           });
  }
  if (a.as_namespace() || a.as_loop() || a.as_function())
    return a.as_namespace() == b.as_namespace() && a.as_loop() == b.as_loop() && a.as_function() == b.as_function();
  return true;  // none, undefined
}

bool less(const value& a, const value& b) {
  if (a.is_number() && b.is_number())
    return a.is_whole() && b.is_whole() ? a.whole() < b.whole() : a.number() < b.number();
  if (a.as_text() && b.as_text())
    return a.as_text()->bytes < b.as_text()->bytes;  // UTF-8 keeps the order of code points
  if (a.as_list() && b.as_list()) {
    auto &l = a.as_list()->items, &r = b.as_list()->items;
    return std::lexicographical_compare(l.begin(), l.end(), r.begin(), r.end(), less);
  }
  complain(kind_of(a) + " and " + kind_of(b) + " have no order");
}

std::string float_repr(double d) {
  if (std::isnan(d))
    return "nan";
  if (std::isinf(d))
    return d > 0 ? "inf" : "-inf";
  char buffer[40];
  auto fixed = std::abs(d) < 1e16 && (d == 0 || std::abs(d) >= 1e-4);
  auto end = std::to_chars(buffer, buffer + sizeof buffer, d, fixed ? std::chars_format::fixed : std::chars_format::scientific);
  std::string s(buffer, end.ptr);
  return fixed && s.find('.') == std::string::npos ? s + ".0" : s;
}

namespace {

text quoted(const text& t) {
  bool single = t.bytes.find('\'') == std::string::npos || t.bytes.find('"') != std::string::npos;
  const char quote = single ? '\'' : '"';
  text out(std::string(1, quote));
  for (std::size_t at = 0; at < t.bytes.size();) {
    auto c = hf::tok::utf8_front(std::string_view(t.bytes).substr(at));
    auto piece = t.slice(at, at + c.length);
    auto instead = [&](const std::string& s) { piece = text(s, piece.any_mark()); };
    if (c.value == static_cast<char32_t>(quote) || c.value == '\\')
      instead("\\" + piece.bytes);
    else if (c.value == '\n')
      instead("\\n");
    else if (c.value == '\r')
      instead("\\r");
    else if (c.value == '\t')
      instead("\\t");
    else if (c.value < 0x20 || (c.value >= 0x7f && c.value < 0xa1) || c.value == 0xad) {
      constexpr std::string_view digits = "0123456789abcdef";
      instead({'\\', 'x', digits[c.value >> 4 & 15], digits[c.value & 15]});
    }
    out += piece;
    at += c.length;
  }
  return out += text(std::string(1, quote));
}

template <class Items, class Write>
text bracketed(const char* open, const Items& items, const char* close, Write write) {
  text out(open);
  bool first = true;
  for (auto& i : items) {
    if (!std::exchange(first, false))
      out += ", ";
    write(out, i);
  }
  return out += close;
}

} // namespace

text repr(const value& v) {
  if (auto* t = v.as_text())
    return quoted(*t);
  return str(v);
}

text str(const value& v) {
  if (v.is_undefined())
    return {};
  if (v.is_none())
    return "None";
  if (auto* b = v.as<bool>())
    return *b ? "True" : "False";
  if (auto* n = v.as<std::int64_t>())
    return std::to_string(*n);
  if (auto* d = v.as<double>())
    return float_repr(*d);
  if (auto* t = v.as_text())
    return *t;
  if (auto* l = v.as_list()) {
    auto close = !l->tuple ? "]" : l->items.size() == 1 ? ",)" : ")";
    return bracketed(l->tuple ? "(" : "[", l->items, close, [](text& out, const value& i) { out += repr(i); });
  }
  auto pairs = [](const dict& d) {
    return bracketed("{", d.items, "}", [](text& out, auto& i) {
      out += repr(i.first);
      out += ": ";
      out += repr(i.second);
    });
  };
  if (auto* d = v.as_dict())
    return pairs(*d);
  if (auto* n = v.as_namespace()) {
    text out("<Namespace ");
    out += pairs(n->attributes);
    return out += ">";
  }
  complain(kind_of(v) + " cannot be printed");
}

std::shared_ptr<const list> items_of(const value& v) {
  if (v.as_list())
    return v.shared_list();
  list out;
  if (auto* d = v.as_dict()) {
    for (auto& [key, item] : d->items)
      out.items.push_back(key);
  } else if (auto* t = v.as_text()) {
    auto starts = character_starts(t->bytes);
    for (std::size_t i = 0; i + 1 < starts.size(); ++i)
      out.items.push_back(t->slice(starts[i], starts[i + 1]));
  } else if (!v.is_undefined()) {
    complain(kind_of(v) + " is no sequence");
  }
  return std::make_shared<const list>(std::move(out));
}

std::vector<std::size_t> character_starts(std::string_view s) {
  std::vector<std::size_t> out;
  for (std::size_t at = 0; at < s.size(); ++at)
    if ((static_cast<unsigned char>(s[at]) & 0xc0) != 0x80)
      out.push_back(at);
  out.push_back(s.size());
  return out;
}

std::size_t character_count(std::string_view s) {
  return static_cast<std::size_t>(std::count_if(s.begin(), s.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; }));
}

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680
         || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

} // namespace virga::models::jinja
