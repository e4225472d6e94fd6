#include "models/hf/tok/utf8.hpp"

namespace virga::models::hf::tok {

namespace {

struct lead {
  std::size_t length = 0;                   ///< 0: no lead byte
  unsigned char low = 0x80, high = 0xbf;    ///< of the second byte
};

lead read_lead(unsigned char c) noexcept {
  if (c < 0x80)
    return {1};
  if (c < 0xc2 || c > 0xf4)
    return {};
  if (c < 0xe0)
    return {2};
  if (c < 0xf0)
    return {3, static_cast<unsigned char>(c == 0xe0 ? 0xa0 : 0x80), static_cast<unsigned char>(c == 0xed ? 0x9f : 0xbf)};
  return {4, static_cast<unsigned char>(c == 0xf0 ? 0x90 : 0x80), static_cast<unsigned char>(c == 0xf4 ? 0x8f : 0xbf)};
}

} // namespace

utf8_character utf8_front(std::string_view s) noexcept {
  auto first = static_cast<unsigned char>(s[0]);
  auto l = read_lead(first);
  if (l.length == 0)
    return {utf8_character::broken, 1, 0};
  if (l.length == 1)
    return {utf8_character::good, 1, first};
  char32_t value = first & (0x7fu >> l.length);
  for (std::size_t i = 1; i < l.length; ++i) {
    if (i == s.size())
      return {utf8_character::unfinished, i, 0};
    auto c = static_cast<unsigned char>(s[i]);
    if (c < l.low || c > l.high)
      return {utf8_character::broken, i, 0};
    value = value << 6 | (c & 0x3fu);
    l.low = 0x80, l.high = 0xbf;
  }
  return {utf8_character::good, l.length, value};
}

std::size_t first_broken_byte(std::string_view s) noexcept {
  for (std::size_t at = 0; at < s.size();) {
    auto c = utf8_front(s.substr(at));
    if (c.kind != utf8_character::good)
      return at;
    at += c.length;
  }
  return std::string_view::npos;
}

void append_utf8(std::string& out, char32_t c) {
  auto tail = [&](int shift) { out += static_cast<char>(0x80 | (c >> shift & 0x3f)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xf0 | c >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

} // namespace virga::models::hf::tok
