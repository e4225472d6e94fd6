// JSON in and out, as Python's json module writes it.
#include "models/chat_template.hpp"
#include "models/hf/json.hpp"
#include "models/hf/tok/utf8.hpp"
#include "models/jinja/value.hpp"

#include <algorithm>
#include <cmath>

namespace virga::models::jinja {

namespace {

std::string hex4(unsigned c) {
  constexpr std::string_view digits = "0123456789abcdef";
  return {'\\', 'u', digits[c >> 12 & 15], digits[c >> 8 & 15], digits[c >> 4 & 15], digits[c & 15]};
}

std::string escaped(char32_t c, std::string_view as_is, bool ascii) {
  switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    case '\b': return "\\b";
    case '\f': return "\\f";
    default: break;
  }
  if (c < 0x20 || (ascii && c >= 0x7f && c < 0x10000))
    return hex4(static_cast<unsigned>(c));
  if (ascii && c >= 0x10000)
    return hex4(0xd800 + static_cast<unsigned>((c - 0x10000) >> 10)) + hex4(0xdc00 + static_cast<unsigned>(c & 0x3ff));
  return std::string(as_is);
}

class json_writer {
public:
  json_writer(std::int64_t indent, bool sort_keys, std::string item_separator, std::string key_separator, bool ascii)
      : indent_(indent), sort_(sort_keys), item_(std::move(item_separator)), key_(std::move(key_separator)), ascii_(ascii) {}

  text write(const value& v) {
    text out;
    add(out, v);
    return out;
  }

private:
  void add(text& out, const value& v) {
    if (v.is_none())
      out += "null";
    else if (auto* b = v.as<bool>())
      out += *b ? "true" : "false";
    else if (auto* d = v.as<double>())
      out += std::isfinite(*d) ? float_repr(*d) : std::isnan(*d) ? "NaN" : *d > 0 ? "Infinity" : "-Infinity";
    else if (v.is_whole())
      out += std::to_string(v.whole());
    else if (auto* t = v.as_text())
      string(out, *t);
    else if (auto* l = v.as_list())
      group(out, '[', l->items, ']', [&](auto& i) { add(out, i); });
    else if (auto* m = v.as_dict())
      mapping(out, *m);
    else
      complain(kind_of(v) + " cannot be written as JSON");
  }

  void mapping(text& out, const dict& d) {
    auto items = d.items;
    if (sort_)
      std::stable_sort(items.begin(), items.end(), [](auto& a, auto& b) { return less(a.first, b.first); });
    group(out, '{', items, '}', [&](auto& i) {
      string(out, i.first.as_text() ? *i.first.as_text() : write(i.first));
      out += key_;
      add(out, i.second);
    });
  }

  template <class Items, class Write>
  void group(text& out, char open, const Items& items, char close, Write one) {
    out += std::string(1, open);
    ++depth_;
    bool first = true;
    for (auto& i : items) {
      if (!std::exchange(first, false))
        out += item_;
      line(out);
      one(i);
    }
    --depth_;
    if (!items.empty())
      line(out);
    out += std::string(1, close);
  }

  void line(text& out) const {
    if (indent_ >= 0)
      out += "\n" + std::string(static_cast<std::size_t>(indent_) * depth_, ' ');
  }

  void string(text& out, const text& t) const {
    text inside;
    for (std::size_t at = 0; at < t.bytes.size();) {
      auto rest = std::string_view(t.bytes).substr(at);
      auto c = hf::tok::utf8_front(rest);
      auto s = escaped(c.value, rest.substr(0, c.length), ascii_);
      inside.bytes += s;
      if (!t.marks.empty())
        inside.marks.append(s.size(), t.marks[at]);
      at += c.length;
    }
    out += "\"";
    out += inside;
    out += "\"";
  }

  std::int64_t indent_;
  bool sort_;
  std::string item_, key_;
  bool ascii_;
  std::size_t depth_ = 0;
};

value converted(const hf::json::value& v, bool user) {
  switch (v.kind()) {
    case hf::json::kind::null: return value::variant(none{});
    case hf::json::kind::bool_: return v.get_bool();
    case hf::json::kind::int64: return std::int64_t{v.get_int64()};
    case hf::json::kind::uint64:
      if (v.get_uint64() > INT64_MAX)
        complain("the number " + std::to_string(v.get_uint64()) + " is too large for a template");
      return static_cast<std::int64_t>(v.get_uint64());
    case hf::json::kind::double_: return v.get_double();
    case hf::json::kind::string: return text(std::string(v.get_string()), user);
    case hf::json::kind::array: {
      list l;
      for (auto& i : v.get_array())
        l.items.push_back(converted(i, user));
      return l;
    }
    default: {
      dict d;
      for (auto& i : v.get_object())
        d.items.emplace_back(text(std::string(i.key()), user), converted(i.value(), user));
      return d;
    }
  }
}

} // namespace

text to_json(const value& v, std::int64_t indent, bool sort_keys, const std::string& item_separator,
             const std::string& key_separator, bool ascii) {
  return json_writer(indent, sort_keys, item_separator, key_separator, ascii).write(v);
}

value from_json(std::string_view json, bool user, const std::string& what) {
  try {
    return converted(hf::parse_strict(json, what), user);
  } catch (const bad_model& e) {
    complain(e.what());
  }
}

} // namespace virga::models::jinja
