// A second parser of answers, written by hand from the English, without templates.hpp: a bug in the template table shows
// as a disagreement. Reads descriptions, sketches and short answers; knows nothing of the world.
#pragma once

#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace hand {

struct said {
  std::string key, value, type, subject;
  std::vector<std::string> gendered;  ///< every he, she, his, her after the subject
};

inline std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string w; in >> w;) {
    words.push_back(w);
  }
  return words;
}

/// The word right after `before`, e.g. after("collar red", "collar") is "red".
inline std::string after(const std::vector<std::string>& words, const std::vector<std::string>& before) {
  for (std::size_t i = 0; i + before.size() < words.size(); ++i) {
    if (std::equal(before.begin(), before.end(), words.begin() + static_cast<std::ptrdiff_t>(i))) {
      return words[i + before.size()];
    }
  }
  return "";
}

inline std::optional<said> sentence(const std::vector<std::string>& words) {
  struct shape {
    std::string key, verb;
    std::vector<std::string> before_value, before_type;
    std::size_t words_without_subject;
  };
  static const std::vector<shape> shapes{{"town", "lives", {"lives", "in"}, {"town", "of", "the"}, 14},
                                         {"job", "works", {"works", "as", "a"}, {"job", "of", "the"}, 17},
                                         {"firm", "is", {"is", "paid", "by"}, {"firm", "on"}, 17},
                                         {"pet", "keeps", {"keeps", "a"}, {"with", "a"}, 14},
                                         {"food", "likes", {"likes", "to", "eat"}, {"dish", "for"}, 16},
                                         {"hobby", "spends", {"free", "time", "on"}, {"meets", "every"}, 14}};
  const bool pronoun = !words.empty() && (words[0] == "he" || words[0] == "she");
  const std::size_t subject_words = pronoun ? 1 : 2;
  if (words.size() <= subject_words || words.back() != ".") {
    return std::nullopt;
  }
  for (const auto& s : shapes) {
    if (words[subject_words] != s.verb || words.size() != subject_words + s.words_without_subject) {
      continue;
    }
    said found{s.key, after(words, s.before_value), after(words, s.before_type), words[0], {}};
    if (!pronoun) {
      found.subject += " " + words[1];
    }
    for (std::size_t i = subject_words; i < words.size(); ++i) {
      if (words[i] == "he" || words[i] == "she" || words[i] == "his" || words[i] == "her") {
        found.gendered.push_back(words[i]);
      }
    }
    return found.value.empty() || found.type.empty() ? std::nullopt : std::optional(found);
  }
  return std::nullopt;
}

/// All sentences, or nothing when one does not parse or words are left over.
inline std::optional<std::vector<said>> description(const std::string& line) {
  std::vector<said> all;
  std::vector<std::string> words;
  for (const auto& w : words_of(line)) {
    words.push_back(w);
    if (w == ".") {
      auto one = sentence(words);
      if (!one) {
        return std::nullopt;
      }
      all.push_back(*one);
      words.clear();
    }
  }
  return words.empty() && !all.empty() ? std::optional(all) : std::nullopt;
}

/// "she ; town oslo ; pet cat" as (mark, pairs).
inline std::optional<std::pair<std::string, std::vector<std::pair<std::string, std::string>>>> sketch(const std::string& line) {
  const auto words = words_of(line);
  if (words.empty() || (words[0] != "he" && words[0] != "she") || words.size() % 3 != 1 || words.size() < 4) {
    return std::nullopt;
  }
  std::pair<std::string, std::vector<std::pair<std::string, std::string>>> found{words[0], {}};
  for (std::size_t i = 1; i < words.size(); i += 3) {
    if (words[i] != ";") {
      return std::nullopt;
    }
    found.second.emplace_back(words[i + 1], words[i + 2]);
  }
  return found;
}

} // namespace hand
