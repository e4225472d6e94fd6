#include "models/world/templates.hpp"

#include <algorithm>
#include <cctype>

namespace virga::models::world {

namespace {

constexpr std::array<std::string_view, attribute_count> sentences{
    "{s} lives in {v} , a town of the {c} that {p} calls home .",
    "{s} works as a {v} , a job of the {c} guild , and loves {o} work .",
    "{s} is paid by {v} , a firm on {c} street that {p} has served for years .",
    "{s} keeps a {v} with a {c} collar in the garden of {o} house .",
    "{s} likes to eat {v} , a dish for {c} , cooked in {o} own kitchen .",
    "{s} spends {o} free time on {v} with a club that meets every {c} ."};

bool is_slot(std::string_view w) { return w.size() == 3 && w.front() == '{' && w.back() == '}'; }

struct filling {
  std::string_view text;
  word_role role;
};

filling fill_slot(char slot, const slots& with) {
  switch (slot) {
    case 'n': return {with.name, word_role::person};
    case 'm': return {with.friend_name, word_role::fact};
    case 's': return {with.by_name ? std::string_view(with.name) : pronoun(with.female), word_role::person};
    case 'p': return {pronoun(with.female), word_role::person};
    case 'o': return {possessive(with.female), word_role::person};
    case 'k': return {with.key, word_role::frame};
    case 'v': return {with.value, word_role::fact};
    case 'c': return {with.type, word_role::type};
    default: return {with.number, word_role::frame};
  }
}

bool is_mark(std::string_view w) { return w.size() == 1 && std::ispunct(static_cast<unsigned char>(w[0])) != 0; }
bool is_pronoun(std::string_view w) { return w == pronoun(true) || w == pronoun(false); }
bool is_possessive(std::string_view w) { return w == possessive(true) || w == possessive(false); }

/// Words that the slot takes from the front of `words`, 0 when it cannot match.
std::size_t slot_width(char slot, std::span<const std::string_view> words) {
  if (words.empty() || is_mark(words[0])) {
    return 0;
  }
  const auto two = words.size() > 1 && !is_mark(words[1]) ? 2u : 0u;
  switch (slot) {
    case 'n':
    case 'm': return two;
    case 's': return is_pronoun(words[0]) ? 1 : two;
    case 'p': return is_pronoun(words[0]) ? 1 : 0;
    case 'o': return is_possessive(words[0]) ? 1 : 0;
    default: return 1;
  }
}

bool bind(bindings& to, char slot, std::span<const std::string_view> words) {
  std::string value;
  for (auto w : words) {
    if (!value.empty()) {
      value += ' ';
    }
    value += w;
  }
  const auto [at, added] = to.emplace(slot, value);
  return added || at->second == value;
}

} // namespace

std::string_view pattern::sentence(attribute a) noexcept { return sentences[static_cast<std::size_t>(a)]; }

std::string_view pronoun(bool female) noexcept { return female ? "she" : "he"; }

std::string_view possessive(bool female) noexcept { return female ? "her" : "his"; }

std::vector<std::string_view> split_words(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < line.size();) {
    const auto end = std::min(line.find(' ', at), line.size());
    if (end > at) {
      words.push_back(line.substr(at, end - at));
    }
    at = end + 1;
  }
  return words;
}

void fill(text& out, std::string_view pattern, const slots& with) {
  for (auto w : split_words(pattern)) {
    if (!is_slot(w)) {
      out.push_back({std::string(w), word_role::frame});
      continue;
    }
    const auto filled = fill_slot(w[1], with);
    for (auto part : split_words(filled.text)) {
      out.push_back({std::string(part), filled.role});
    }
  }
}

std::string join(const text& words) {
  std::string line;
  for (const auto& w : words) {
    if (!line.empty()) {
      line += ' ';
    }
    line += w.text;
  }
  return line;
}

std::optional<bindings> match(std::string_view pattern, std::span<const std::string_view>& words) {
  auto rest = words;
  bindings found;
  for (auto w : split_words(pattern)) {
    const auto width = is_slot(w) ? slot_width(w[1], rest) : (!rest.empty() && rest[0] == w ? 1u : 0u);
    if (width == 0 || (is_slot(w) && !bind(found, w[1], rest.first(width)))) {
      return std::nullopt;
    }
    rest = rest.subspan(width);
  }
  words = rest;
  return found;
}

} // namespace virga::models::world
