#include "models/jinja/text_tools.hpp"

#include "models/hf/tok/utf8.hpp"

#include <utf8proc.h>

#include <algorithm>

namespace virga::models::jinja {

namespace {

using hf::tok::utf8_front;

char32_t character(std::string_view s, std::size_t at) { return utf8_front(s.substr(at)).value; }

std::int32_t number(char32_t c) { return static_cast<std::int32_t>(c); }

bool has_case(char32_t c) {
  auto k = utf8proc_category(number(c));
  return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT;
}

/// Each character by `change`, which also learns whether a letter stands before it.
template <class Change>
text mapped(const text& t, Change change) {
  text out;
  bool letter_before = false;
  for (std::size_t at = 0; at < t.bytes.size();) {
    auto c = utf8_front(std::string_view(t.bytes).substr(at));
    auto before = out.bytes.size();
    change(out.bytes, c.value, letter_before);
    if (!t.marks.empty())
      out.marks.append(out.bytes.size() - before, t.marks[at]);
    letter_before = has_case(c.value);
    at += c.length;
  }
  return out;
}

void append_upper(std::string& out, char32_t c) {
  if (c == 0xdf)  // ß, the only common letter that becomes two
    out += "SS";
  else
    hf::tok::append_utf8(out, static_cast<char32_t>(utf8proc_toupper(number(c))));
}
void append_lower(std::string& out, char32_t c) {
  if (c == 0x130)
    out += "i\u0307";
  else
    hf::tok::append_utf8(out, static_cast<char32_t>(utf8proc_tolower(number(c))));
}
void append_title(std::string& out, char32_t c) {
  if (c == 0xdf)
    out += "Ss";
  else
    hf::tok::append_utf8(out, static_cast<char32_t>(utf8proc_totitle(number(c))));
}

} // namespace

text stripped(const text& t, const std::string& set, bool left, bool right) {
  auto starts = character_starts(t.bytes);
  auto goes = [&](std::size_t i) {
    auto c = std::string_view(t.bytes).substr(starts[i], starts[i + 1] - starts[i]);
    return set.empty() ? is_space(character(c, 0)) : set.find(c) != std::string::npos;
  };
  std::size_t begin = 0, end = starts.size() - 1;
  while (left && begin < end && goes(begin))
    ++begin;
  while (right && end > begin && goes(end - 1))
    --end;
  return t.slice(starts[begin], starts[end]);
}

std::vector<text> split_at_spaces(const text& t, std::int64_t most, bool from_right) {
  auto starts = character_starts(t.bytes);
  std::vector<text_range> words;
  bool inside = false;
  for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
    bool space = is_space(character(t.bytes, starts[i]));
    if (!space && !inside)
      words.push_back({starts[i], 0});
    if (!space)
      words.back().end = starts[i + 1];
    inside = !space;
  }
  auto limit = most < 0 ? words.size() : static_cast<std::size_t>(most) + 1;
  if (words.size() > limit && !from_right) {  // the last one keeps the rest
    words.resize(limit);
    words.back().end = t.bytes.size();
  } else if (words.size() > limit) {
    auto extra = words.size() - limit;
    words[extra].begin = 0;
    words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(extra));
  }
  std::vector<text> out;
  for (auto& w : words)
    out.push_back(t.slice(w.begin, w.end));
  return out;
}

std::vector<text> split_at(const text& t, const std::string& separator, std::int64_t most, bool from_right) {
  if (separator.empty())
    complain("split() with an empty separator");
  std::vector<text> out;
  auto more = [&] { return most < 0 || static_cast<std::int64_t>(out.size()) < most; };
  if (!from_right) {
    std::size_t begin = 0;
    for (auto at = t.bytes.find(separator); at != std::string::npos && more(); at = t.bytes.find(separator, begin)) {
      out.push_back(t.slice(begin, at));
      begin = at + separator.size();
    }
    out.push_back(t.slice(begin, t.bytes.size()));
    return out;
  }
  std::size_t end = t.bytes.size();
  while (more() && end >= separator.size()) {
    auto at = t.bytes.rfind(separator, end - separator.size());
    if (at == std::string::npos)
      break;
    out.push_back(t.slice(at + separator.size(), end));
    end = at;
  }
  out.push_back(t.slice(0, end));
  std::reverse(out.begin(), out.end());
  return out;
}

text replaced(frame& f, const text& t, const std::string& from, const text& to, std::int64_t most) {
  text out;
  std::size_t done = 0;
  auto put = [&](std::size_t at, std::size_t next) {
    out += t.slice(done, at);
    out += to;
    done = next;
    f.charge(to.bytes.size());
    return --most != 0;
  };
  if (most == 0)
    return t;
  if (from.empty()) {
    for (auto at : character_starts(t.bytes))
      if (!put(at, at))
        break;
  } else {
    for (auto at = t.bytes.find(from); at != std::string::npos; at = t.bytes.find(from, done))
      if (!put(at, at + from.size()))
        break;
  }
  f.charge(t.bytes.size());
  return out += t.slice(done, t.bytes.size());
}

text uppercase(const text& t) {
  return mapped(t, [](std::string& out, char32_t c, bool) { append_upper(out, c); });
}
text lowercase(const text& t) {
  return mapped(t, [](std::string& out, char32_t c, bool) { append_lower(out, c); });
}
text titlecase(const text& t) {
  return mapped(t, [](std::string& out, char32_t c, bool inside) { inside ? append_lower(out, c) : append_title(out, c); });
}
text jinja_title(const text& t) {
  bool begins = true;  // a word: behind white space, a hyphen or an opening bracket
  return mapped(t, [&](std::string& out, char32_t c, bool) {
    begins ? append_upper(out, c) : append_lower(out, c);
    begins = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  });
}
text capitalized(const text& t) {
  return mapped(t, [first = true](std::string& out, char32_t c, bool) mutable {
    std::exchange(first, false) ? append_title(out, c) : append_lower(out, c);
  });
}

bool is_decimal(char32_t c) { return utf8proc_category(number(c)) == UTF8PROC_CATEGORY_ND; }

bool is_letter(char32_t c) {
  auto k = utf8proc_category(number(c));
  return has_case(c) || k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_LO;
}

} // namespace virga::models::jinja
