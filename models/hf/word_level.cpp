#include "models/hf/word_level.hpp"

#include "models/hf/json.hpp"

#include <algorithm>
#include <array>

namespace virga::models::hf {

namespace {

/// Bytes of the white space at the front of `s` (Unicode's White_Space), 0 when there is none.
std::size_t space_at(std::string_view s) {
  static constexpr std::array<std::string_view, 19> wide{
    "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
    "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  auto c = static_cast<unsigned char>(s.front());
  if (c < 0x80)
    return c == ' ' || (c >= '\t' && c <= '\r') ? 1 : 0;
  for (auto w : wide)
    if (s.starts_with(w))
      return w.size();
  return 0;
}

} // namespace

token_id word_level::word(std::string_view text) const {
  auto it = t_.ids.find(std::string(text));
  if (it != t_.ids.end() && !t_.special.contains(it->second))
    return it->second;
  if (!t_.unknown)
    throw bad_segment("the word " + in_quotes(text) + " is not in the model's vocabulary, which has no unknown token");
  return *t_.unknown;
}

void word_level::add_words(std::string_view text, std::vector<token_id>& out) const {
  if (!t_.split_at_space) {
    if (!text.empty())
      out.push_back(word(text));
    return;
  }
  std::size_t begin = 0, at = 0;
  auto flush = [&] {
    if (at > begin)
      out.push_back(word(text.substr(begin, at - begin)));
  };
  while (at < text.size())
    if (auto width = space_at(text.substr(at)); width > 0) {
      flush();
      begin = at += width;
    } else {
      ++at;
    }
  flush();
}

std::vector<token_id> word_level::encode(std::string_view text, const encode_options& how) const {
  std::vector<token_id> out;
  if (how.add_special)
    out = t_.before;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size() && !t_.parsed_first.empty();) {
    auto hit = std::find_if(t_.parsed_first.begin(), t_.parsed_first.end(),
                            [&](auto& token) { return text.substr(at).starts_with(token); });
    if (hit == t_.parsed_first.end()) {
      ++at;
      continue;
    }
    add_words(text.substr(begin, at - begin), out);
    out.push_back(t_.ids.at(*hit));
    begin = at += hit->size();
  }
  add_words(text.substr(begin), out);
  if (how.add_special)
    out.insert(out.end(), t_.after.begin(), t_.after.end());
  return out;
}

std::string word_level::decode(const std::vector<token_id>& ids, bool skip_special) const {
  std::string out;
  bool first = true;
  for (auto id : ids) {
    if (id >= t_.words.size() || !t_.words[id])
      throw bad_segment("the token id " + std::to_string(id) + " is not in the tokenizer, which has "
                        + std::to_string(t_.words.size()) + " ids");
    if (skip_special && t_.special.contains(id))
      continue;
    out += (first ? "" : " ") + *t_.words[id];
    first = false;
  }
  return out;
}

std::optional<token_id> word_level::id_of(std::string_view token) const {
  auto it = t_.ids.find(std::string(token));
  return it == t_.ids.end() ? std::nullopt : std::optional(it->second);
}

} // namespace virga::models::hf
