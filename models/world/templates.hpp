// models/world/templates.hpp: the one table of all wordings. The generator fills its patterns, the checker matches
// them, the vocabulary lists their words. A pattern is words and slots separated by single spaces:
//   {n} name (two words)  {m} friend's name (two words)  {s} subject: the name or the pronoun  {p} he, she  {o} his, her
//   {k} key  {v} value  {c} class of the value  {w} number word
#pragma once

#include "models/world/words.hpp"

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace virga::models::world {

/// What a word of an answer is made of. Scores that mix them flatter: template words are nearly free.
enum class word_role : std::uint8_t {
  frame,   ///< fixed words of the pattern, keys, separators
  person,  ///< the asked person's name, pronoun and possessive
  fact,    ///< a value, a friend's name, the gender mark of a sketch: must be known
  type     ///< the class of a value
};

struct word {
  std::string text;
  word_role role = word_role::frame;
};
using text = std::vector<word>;

/// What fills the slots of one pattern. Unused slots stay empty.
struct slots {
  std::string name{}, friend_name{}, key{}, value{}, type{}, number{};
  bool female = false;
  bool by_name = false;  ///< {s} is the name, else the pronoun
};

namespace pattern {
inline constexpr std::string_view fact_prompt = "what is the {k} of {n} ?";
inline constexpr std::string_view fact_answer = "{v} .";
inline constexpr std::string_view friend_prompt = "who is the friend of {n} ?";
inline constexpr std::string_view friend_answer = "{m} .";
inline constexpr std::string_view two_hop_prompt = "what is the {k} of the friend of {n} ?";
inline constexpr std::string_view two_hop_answer = "the friend is {m} and the {k} is {v} .";
inline constexpr std::string_view describe_head = "describe {n} :";  ///< then the keys, then prompt_end
inline constexpr std::string_view sketch_head = "sketch {n} :";
inline constexpr std::string_view brief_head = "brief {n} :";
inline constexpr std::string_view prompt_end = "?";
inline constexpr std::string_view sketch_start = "{p}";         ///< of a sketch: the gender mark
inline constexpr std::string_view sketch_point = "; {k} {v}";   ///< level 1
inline constexpr std::string_view brief_point = "; {v}";        ///< level 2
inline constexpr std::string_view expand_head = "expand";       ///< then the sketch
inline constexpr std::string_view expand_tail = ": point {w} ?";
inline constexpr std::string_view expand_first_tail = ": point {w} of {n} ?";

/// The sentence of one attribute: 14 to 18 words and a full stop.
std::string_view sentence(attribute a) noexcept;
} // namespace pattern

/// "one" to "five": the points of a sketch.
inline constexpr std::array<std::string_view, 5> number_words{"one", "two", "three", "four", "five"};

std::string_view pronoun(bool female) noexcept;
std::string_view possessive(bool female) noexcept;

/// Appends the pattern with its slots filled.
void fill(text& out, std::string_view pattern, const slots& with);

/// Words joined by single spaces.
std::string join(const text& words);
std::vector<std::string_view> split_words(std::string_view line);

/// What the slots of a pattern matched, by slot letter.
using bindings = std::map<char, std::string>;

/// Matches the pattern at the front of `words` and drops what it matched. A slot that occurs twice must match the same.
/// Slots match any words but punctuation marks; {p} and {o} match their two, {s} a pronoun or else two words.
std::optional<bindings> match(std::string_view pattern, std::span<const std::string_view>& words);

} // namespace virga::models::world
