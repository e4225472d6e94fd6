#include "models/hf/tok/added_tokens.hpp"

#include "models/defaults.hpp"
#include "models/hf/tok/utf8.hpp"

#include <utf8proc.h>

#include <algorithm>

namespace virga::models::hf::tok {

namespace {

/// Unicode's White_Space.
bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a)
         || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_word(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT: case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: case UTF8PROC_CATEGORY_MN: case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return c == 0x200c || c == 0x200d;
  }
}

/// Where the last character of `text` begins.
std::size_t last_character(std::string_view text) {
  auto at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80)
    --at;
  return at;
}

bool word_before(std::string_view text) {
  return !text.empty() && is_word(utf8_front(text.substr(last_character(text))).value);
}
bool word_behind(std::string_view text) { return !text.empty() && is_word(utf8_front(text).value); }

std::size_t without_spaces_at_end(std::string_view text) {
  while (!text.empty() && is_space(utf8_front(text.substr(last_character(text))).value))
    text = text.substr(0, last_character(text));
  return text.size();
}

std::size_t spaces_at_front(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && is_space(utf8_front(text.substr(at)).value))
    at += utf8_front(text.substr(at)).length;
  return at;
}

added_token read_one(const json::value& v, const std::string& where, const normalizer& n, vocabulary& words) {
  fields f(v, where);
  added_token t;
  t.text = f.text("content");
  t.id = static_cast<token_id>(f.whole("id", 0, defaults::max_vocab - 1));
  if (t.text.empty())
    fail(where, "the token " + std::to_string(t.id) + " has no text");
  words.add(t.text, t.id, where);
  t.special = f.flag_or("special", false);
  if (t.special)
    words.mark_special(t.id);
  t.single_word = f.flag_or("single_word", false);
  t.lstrip = f.flag_or("lstrip", false);
  t.rstrip = f.flag_or("rstrip", false);
  t.normalized = f.flag_or("normalized", !t.special);
  if (t.normalized)
    t.text = normalized(n, {t.text, {}}).text;
  return t;
}

} // namespace

std::vector<added_token> read_added_tokens(const fields& root, const normalizer& n, vocabulary& words) {
  std::vector<added_token> out;
  auto where = root.where() + ": added_tokens";
  auto* list = root.find("added_tokens");
  if (!list)
    return out;
  if (!list->is_array())
    fail(where, "must be a list");
  for (auto& v : list->get_array())
    out.push_back(read_one(v, where, n, words));
  return out;
}

token_finder::token_finder(std::vector<added_token> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(), [](auto& a, auto& b) { return a.text.size() > b.text.size(); });
  for (std::uint32_t i = 0; i < tokens_.size(); ++i)
    if (!tokens_[i].text.empty())
      by_first_[static_cast<unsigned char>(tokens_[i].text[0])].push_back(i);
}

const added_token* token_finder::at(std::string_view rest) const {
  for (auto i : by_first_[static_cast<unsigned char>(rest[0])])
    if (rest.starts_with(tokens_[i].text))
      return &tokens_[i];
  return nullptr;
}

std::vector<text_piece> token_finder::split(std::string_view text, const std::function<bool(text_range)>& takes) const {
  std::vector<text_piece> out;
  std::size_t done = 0;
  for (std::size_t here = 0; here < text.size();) {
    auto* t = at(text.substr(here));
    if (!t) {
      ++here;
      continue;
    }
    text_range r{here, here + t->text.size()};
    here = r.end;
    if (t->special && !takes(r))
      continue;
    if (t->single_word && (word_before(text.substr(0, r.begin)) || word_behind(text.substr(r.end))))
      continue;
    if (t->lstrip)
      r.begin = std::max(done, without_spaces_at_end(text.substr(0, r.begin)));
    if (t->rstrip)
      r.end += spaces_at_front(text.substr(r.end));
    if (done < r.begin)
      out.push_back({{done, r.begin}, std::nullopt});
    out.push_back({r, t->id});
    done = r.end;
  }
  if (done < text.size())
    out.push_back({{done, text.size()}, std::nullopt});
  return out;
}

} // namespace virga::models::hf::tok
