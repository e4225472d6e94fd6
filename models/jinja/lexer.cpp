#include "models/jinja/lexer.hpp"

#include "models/hf/json.hpp"
#include "models/hf/tok/utf8.hpp"
#include "models/jinja/value.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace virga::models::jinja {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80); }

/// Line ends as \n, and one at the very end dropped.
std::string with_plain_line_ends(std::string_view source) {
  std::string out;
  for (std::size_t i = 0; i < source.size(); ++i)
    if (source[i] != '\r')
      out += source[i];
    else if (i + 1 == source.size() || source[i + 1] != '\n')
      out += '\n';
  if (out.ends_with('\n'))
    out.pop_back();
  return out;
}

std::size_t spaces_at(std::string_view s) {
  std::size_t at = 0;
  while (at < s.size()) {
    auto c = hf::tok::utf8_front(s.substr(at));
    if (!is_space(c.value))
      break;
    at += c.length;
  }
  return at;
}

std::string_view without_spaces_behind(std::string_view s) {
  std::size_t kept = 0;
  for (std::size_t at = 0; at < s.size();) {
    auto c = hf::tok::utf8_front(s.substr(at));
    at += c.length;
    if (!is_space(c.value))
      kept = at;
  }
  return s.substr(0, kept);
}

class lexer {
public:
  lexer(std::string_view source, const std::string& where) : source_(with_plain_line_ends(source)), where_(where) {}

  std::vector<token> run() {
    while (at_ < source_.size())
      template_text();
    add(token::end, "");
    return std::move(out_);
  }

private:
  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  [[noreturn]] void fail(const std::string& what) const { broken(where_, line_, what); }

  void add(token::kind_t kind, std::string text) { out_.push_back({kind, std::move(text), line_}); }

  void advance(std::size_t n) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + n), '\n'));
    at_ += n;
  }

  /// Text up to the next tag, and the tag.
  void template_text() {
    auto tag = at_;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == std::string::npos || tag + 1 == source_.size()) {
        data(source_.substr(at_));
        return advance(source_.size() - at_);
      }
      if (auto c = source_[tag + 1]; c == '{' || c == '%' || c == '#')
        break;
    }
    auto kind = source_[tag + 1];
    char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    data(std::string(left_of_tag(std::string_view(source_).substr(at_, tag - at_), kind, sign)));
    advance(tag - at_ + 2 + (sign == '-' || sign == '+' ? 1 : 0));
    if (kind == '#')
      comment();
    else if (kind == '%' && raw_begins())
      raw();
    else
      code(kind == '%');
  }

  void data(std::string text) {
    if (!text.empty())
      add(token::data, std::move(text));
  }

  std::string_view left_of_tag(std::string_view text, char kind, char sign) const {
    if (sign == '-')
      return without_spaces_behind(text);
    if (sign == '+' || kind == '{')
      return text;
    auto line = text.rfind('\n') + 1;  // npos + 1 is 0
    if ((line > 0 || line_starts_) && spaces_at(text.substr(line)) == text.size() - line)
      return text.substr(0, line);
    return text;
  }

  /// Behind the end of a tag: "-": all white space goes; else one line end, where `trims`.
  void behind_tag(bool minus, bool trims) {
    auto n = minus ? spaces_at(rest()) : trims && rest().starts_with('\n') ? 1 : 0;
    advance(n);
    line_starts_ = n > 0 && source_[at_ - 1] == '\n';
  }

  void comment() {
    auto end = source_.find("#}", at_);
    if (end == std::string::npos)
      fail("a comment does not end");
    char sign = end > at_ ? source_[end - 1] : ' ';
    advance(end - at_ + 2);
    behind_tag(sign == '-', sign != '+');
  }

  bool raw_begins() const {
    auto s = rest();
    s.remove_prefix(spaces_at(s));
    if (!s.starts_with("raw"))
      return false;
    s.remove_prefix(3);
    s.remove_prefix(spaces_at(s));
    return s.starts_with("%}") || s.starts_with("-%}");
  }

  void raw() {
    auto begin = source_.find("%}", at_);
    bool minus = source_[begin - 1] == '-';
    advance(begin - at_ + 2);
    behind_tag(minus, false);
    auto end = source_.find("endraw", at_);
    auto tag = end == std::string::npos ? end : source_.rfind("{%", end);
    auto close = end == std::string::npos ? end : source_.find("%}", end);
    if (tag == std::string::npos || close == std::string::npos || tag < at_)
      fail("a raw block does not end");
    data(std::string(left_of_tag(std::string_view(source_).substr(at_, tag - at_), '%', source_[tag + 2])));
    char sign = source_[close - 1];
    advance(close - at_ + 2);
    behind_tag(sign == '-', sign != '+');
  }

  /// The tokens of one tag.
  void code(bool block) {
    add(block ? token::block_begin : token::print_begin, "");
    brackets_.clear();
    for (;;) {
      advance(spaces_at(rest()));
      if (at_ == source_.size())
        fail("a tag does not end");
      if (brackets_.empty() && ends(block))
        return;
      one();
    }
  }

  bool ends(bool block) {
    auto s = rest();
    bool minus = s[0] == '-', plus = block && s[0] == '+';
    if (!s.substr(minus || plus ? 1 : 0).starts_with(block ? "%}" : "}}"))
      return false;
    add(block ? token::block_end : token::print_end, "");
    advance(minus || plus ? 3 : 2);
    behind_tag(minus, block && !plus);
    return true;
  }

  void one() {
    auto c = source_[at_];
    if (c == '\'' || c == '"')
      return string(c);
    if (is_digit(c))
      return number();
    if (is_name_start(c)) {
      std::size_t n = 1;
      while (n < rest().size() && (is_name_start(rest()[n]) || is_digit(rest()[n])))
        ++n;
      add(token::name, std::string(rest().substr(0, n)));
      return advance(n);
    }
    sign();
  }

  void sign() {
    static constexpr std::array<std::string_view, 26> signs{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                                            "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"};
    auto it = std::find_if(signs.begin(), signs.end(), [&](auto s) { return rest().starts_with(s); });
    if (it == signs.end())
      fail("the character " + hf::in_quotes(rest().substr(0, hf::tok::utf8_front(rest()).length)) + " means nothing here");
    balance((*it)[0]);
    add(token::sign, std::string(*it));
    advance(it->size());
  }

  void balance(char c) {
    if (c == '(' || c == '[' || c == '{')
      brackets_ += c == '(' ? ')' : c == '[' ? ']' : '}';
    else if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty() || brackets_.back() != c)
        fail(std::string("the ") + c + " closes nothing");
      brackets_.pop_back();
    }
  }

  void number() {
    auto s = rest();
    auto digits = [&](std::size_t i) {
      while (i < s.size() && (is_digit(s[i]) || (s[i] == '_' && i + 1 < s.size() && is_digit(s[i + 1]))))
        ++i;
      return i;
    };
    auto n = digits(0);
    auto kind = token::whole;
    bool behind_dot = !out_.empty() && out_.back().is(".");
    if (!behind_dot && n + 1 < s.size() && s[n] == '.' && is_digit(s[n + 1])) {
      n = digits(n + 1);
      kind = token::number;
    }
    if (!behind_dot && n < s.size() && (s[n] == 'e' || s[n] == 'E')) {
      auto e = n + 1 + (n + 1 < s.size() && (s[n + 1] == '+' || s[n + 1] == '-') ? 1 : 0);
      if (e < s.size() && is_digit(s[e])) {
        n = digits(e);
        kind = token::number;
      }
    }
    if (n < s.size() && is_name_start(s[n]))
      fail("the number " + hf::in_quotes(s.substr(0, n + 1)) + " cannot be read");
    std::string text(s.substr(0, n));
    std::erase(text, '_');
    add(kind, text);
    advance(n);
  }

  void string(char quote) {
    std::string out;
    std::size_t i = at_ + 1;
    for (; i < source_.size() && source_[i] != quote; ++i)
      if (source_[i] != '\\')
        out += source_[i];
      else
        i = escape(i + 1, out);
    if (i >= source_.size())
      fail("a string does not end");
    add(token::string, std::move(out));
    advance(i + 1 - at_);
  }

  /// @param i behind the backslash @returns the last byte of the escape
  std::size_t escape(std::size_t i, std::string& out) const {
    static constexpr std::string_view from = "\\'\"abfnrtv\n", to = "\\'\"\a\b\f\n\r\t\v";
    if (i >= source_.size())
      return i;
    auto c = source_[i];
    if (c == 'x' || c == 'u' || c == 'U')
      return coded(i, c == 'x' ? 2 : c == 'u' ? 4 : 8, out);
    if (c >= '0' && c <= '7')
      fail("octal escapes cannot be run so far");
    if (c == 'N')
      fail("the escape \\N cannot be run so far");
    auto place = from.find(c);
    if (place == std::string_view::npos)
      out += {'\\', c};
    else if (place < to.size())
      out += to[place];
    return i;
  }

  std::size_t coded(std::size_t i, std::size_t digits, std::string& out) const {
    char32_t c = 0;
    for (std::size_t k = 1; k <= digits; ++k) {
      static constexpr std::string_view hex = "0123456789abcdef";
      auto d = i + k < source_.size() ? hex.find(static_cast<char>(std::tolower(source_[i + k]))) : std::string_view::npos;
      if (d == std::string_view::npos)
        fail("an escape in a string is cut short");
      c = c * 16 + static_cast<char32_t>(d);
    }
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
      fail("an escape in a string is no character");
    hf::tok::append_utf8(out, c);
    return i + digits;
  }

  std::string source_;
  const std::string& where_;
  std::vector<token> out_;
  std::string brackets_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;
};

} // namespace

void broken(const std::string& where, int line, const std::string& what) {
  hf::fail(where, "line " + std::to_string(line) + ": " + what);
}

std::vector<token> tokens_of(std::string_view source, const std::string& where) { return lexer(source, where).run(); }

} // namespace virga::models::jinja
