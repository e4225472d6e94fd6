// models/hf/tok/utf8.hpp: UTF-8, character by character. Private to models.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace virga::models::hf::tok {

/// What stands at the front of some bytes.
struct utf8_character {
  enum kind_t { good, broken, unfinished } kind;
  std::size_t length;  ///< bytes; of a broken or unfinished one the maximal subpart, which becomes one U+FFFD (Unicode 3.9)
  char32_t value;      ///< of a good one
};

/// @param s at least one byte
utf8_character utf8_front(std::string_view s) noexcept;

/// Where the first byte stands that is no UTF-8, npos when there is none.
std::size_t first_broken_byte(std::string_view s) noexcept;

void append_utf8(std::string& out, char32_t c);

inline constexpr std::string_view replacement_character = "\xef\xbf\xbd";

} // namespace virga::models::hf::tok
