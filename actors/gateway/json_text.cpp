#include "actors/gateway/json_text.hpp"

#include <boost/json.hpp>

#include <charconv>
#include <cmath>

namespace virga {

namespace json = boost::json;

namespace {

void append(std::string& out, const json::value& v);

void append_double(std::string& out, double d) {
  if (!std::isfinite(d)) {
    out += "null";
    return;
  }
  char text[32];
  auto end = std::to_chars(text, text + sizeof text, d).ptr;
  out.append(text, end);
}

void append_object(std::string& out, const json::object& o) {
  char before = '{';
  for (auto& [key, value] : o) {
    out += before;
    out += json::serialize(key);
    out += ':';
    append(out, value);
    before = ',';
  }
  out += o.empty() ? "{}" : "}";
}

void append_array(std::string& out, const json::array& a) {
  char before = '[';
  for (auto& value : a) {
    out += before;
    append(out, value);
    before = ',';
  }
  out += a.empty() ? "[]" : "]";
}

void append(std::string& out, const json::value& v) {
  if (auto o = v.if_object())
    append_object(out, *o);
  else if (auto a = v.if_array())
    append_array(out, *a);
  else if (auto d = v.if_double())
    append_double(out, *d);
  else
    out += json::serialize(v);
}

bool continues(unsigned char c) { return (c & 0xC0) == 0x80; }

/// Bytes of the UTF-8 character at the front, 0 where there is none (overlong forms and surrogates are none).
std::size_t character(std::string_view s) {
  auto at = [&](std::size_t i) { return static_cast<unsigned char>(i < s.size() ? s[i] : 0); };
  auto c = at(0);
  if (c < 0x80)
    return 1;
  if (c >= 0xC2 && c <= 0xDF)
    return continues(at(1)) ? 2 : 0;
  if (c >= 0xE0 && c <= 0xEF) {
    bool fits = c == 0xE0 ? at(1) >= 0xA0 : c == 0xED ? at(1) < 0xA0 : true;
    return fits && continues(at(1)) && continues(at(2)) ? 3 : 0;
  }
  if (c >= 0xF0 && c <= 0xF4) {
    bool fits = c == 0xF0 ? at(1) >= 0x90 : c == 0xF4 ? at(1) < 0x90 : true;
    return fits && continues(at(1)) && continues(at(2)) && continues(at(3)) ? 4 : 0;
  }
  return 0;
}

} // namespace

std::string json_text(const json::value& v) {
  std::string out;
  append(out, v);
  return out;
}

std::string to_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    auto n = character(text);
    if (n == 0) {
      out += "\xEF\xBF\xBD";
      n = 1;
    } else {
      out.append(text.substr(0, n));
    }
    text.remove_prefix(n);
  }
  return out;
}

} // namespace virga
