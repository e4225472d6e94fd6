#include "models/hf/tok/pattern.hpp"

#include "models/hf/tok/utf8.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace virga::models::hf::tok {

namespace {

/// Oniguruma's \w: Alphabetic, marks, decimal digits, connectors.
constexpr std::string_view word_class = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";

/// Rewrites the escapes that mean other characters in PCRE2: \s (U+180E and U+0085), \w and \h.
class translation {
public:
  translation(std::string_view source, const std::string& where) : source_(source), where_(where) {}

  std::string run() {
    for (; at_ < source_.size(); ++at_)
      step(source_[at_]);
    return std::move(out_);
  }

private:
  void step(char c) {
    if (c == '\\')
      return escape();
    if (c == '[')
      ++depth_;
    else if (c == ']' && depth_ > 0)
      --depth_;
    else if (c == '&' && depth_ > 0 && source_.substr(at_).starts_with("&&"))
      refuse("&& inside brackets");
    if (c == '[' && depth_ > 1 && !source_.substr(at_).starts_with("[:"))
      refuse("brackets inside brackets");
    out_ += c;
  }

  void escape() {
    if (++at_ == source_.size())
      refuse("a backslash at the end");
    switch (char c = source_[at_]) {
      case 's': out_ += "\\p{White_Space}"; return;
      case 'S': out_ += "\\P{White_Space}"; return;
      case 'w': out_ += depth_ > 0 ? std::string(word_class) : "[" + std::string(word_class) + "]"; return;
      case 'W':
        if (depth_ > 0)
          refuse("\\W inside brackets");
        out_ += "[^" + std::string(word_class) + "]";
        return;
      case 'h': case 'H': case 'G': case 'K': case 'R': case 'X': case 'O': case 'N': case 'C': case 'Q': case 'y': case 'Y':
        refuse(std::string("\\") + c);
      default: out_ += {'\\', c};
    }
  }

  [[noreturn]] void refuse(const std::string& what) const {
    fail(where_, "the expression " + in_quotes(source_) + " uses " + what + ", which cannot be run so far");
  }

  std::string_view source_;
  const std::string& where_;
  std::string out_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

std::string message_of(int code) {
  char text[200] = "";
  pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof text);
  return text;
}

} // namespace

struct pattern::compiled {
  std::string source;
  std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)> code{nullptr, pcre2_code_free};
};

pattern pattern::literal(std::string text) {
  pattern p;
  p.text_ = std::move(text);
  return p;
}

pattern pattern::regex(const std::string& source, const std::string& where) {
  constexpr std::size_t longest = 10'000;
  if (source.size() > longest)
    fail(where, "the expression has " + std::to_string(source.size()) + " bytes; at most " + std::to_string(longest)
                  + " are read");
  auto text = translation(source, where).run();
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto c = std::make_shared<compiled>();
  c->source = source;
  c->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr));
  if (!c->code)
    fail(where, "the expression " + in_quotes(source) + " is broken: " + message_of(error));
  pcre2_jit_compile(c->code.get(), PCRE2_JIT_COMPLETE);  // without it the interpreter does the same, slower
  pattern p;
  p.regex_ = std::move(c);
  return p;
}

pattern pattern::read(const json::value& v, const std::string& where) {
  fields f(v, where);
  if (f.find("Regex"))
    return regex(f.text("Regex"), where);
  return literal(f.text("String"));
}

bool pattern::is_one_character() const {
  return !regex_ && !text_.empty() && utf8_front(text_).kind == utf8_character::good
         && utf8_front(text_).length == text_.size();
}

void pattern::find_all(std::string_view text, const std::function<void(text_range)>& found) const {
  if (!regex_) {
    if (!text_.empty())
      for (auto at = text.find(text_); at != std::string_view::npos; at = text.find(text_, at + text_.size()))
        found({at, at + text_.size()});
    return;
  }
  std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
    pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  auto match = [&](std::size_t from, std::uint32_t options) {
    return pcre2_match(regex_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                       PCRE2_NO_UTF_CHECK | options, data.get(), nullptr);
  };
  for (std::size_t at = 0; at < text.size();) {
    auto result = match(at, 0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT)
      result = match(at, PCRE2_NO_JIT);
    if (result == PCRE2_ERROR_NOMATCH)
      return;
    if (result < 0)
      throw bad_segment("the tokenizer's expression " + in_quotes(regex_->source) + " gave up at byte " + std::to_string(at)
                        + ": " + message_of(result));
    auto* range = pcre2_get_ovector_pointer(data.get());
    if (range[1] > range[0])
      found({range[0], range[1]});
    // An empty match: on by one character.
    at = range[1] > range[0] ? range[1] : range[1] + (range[1] < text.size() ? utf8_front(text.substr(range[1])).length : 1);
  }
}

std::string pattern::replaced(std::string_view text, std::string_view with) const {
  std::string out;
  std::size_t done = 0;
  find_all(text, [&](text_range r) {
    out += text.substr(done, r.begin - done);
    out += with;
    done = r.end;
  });
  return out += text.substr(done);
}

} // namespace virga::models::hf::tok
