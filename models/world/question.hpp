// models/world/question.hpp: sets of questions to ask a system, and the exact check of its plain-text answers.
// The checker parses with the wordings of templates.hpp and judges facts by the world's table, not by the reference.
// It is for measuring, off-line: a system that uses it at run time is not deployable (world.md section 10).
#pragma once

#include "models/world/tasks.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace virga::models::world {

struct question {
  request ask;
  std::string prompt;  ///< what the user types, one line, words separated by single spaces
  std::string answer;  ///< the only right answer
};

question make_question(const world& w, request r);

/// `count` questions, a function of (world, split, seed, mix, count). See draw_request.
std::vector<question> make_questions(const world& w, split s, std::uint64_t seed, const mixture& mix,
                                     std::uint32_t count);

/// Expand questions whose sketches contradict the world. Validation and test only.
std::vector<question> make_counterfactuals(const world& w, split s, std::uint64_t seed, bool brief_sketch,
                                           std::uint32_t count);

/// The mixture of the demonstration: facts, friends, two-hops and descriptions of 3 to 5 keys, so that more than a
/// quarter of the answers have 40 tokens or more (46 to 84).
mixture demo_mixture();

/// What a check found. Headline: `exact`. The rest explains it; truncated, repeated or extra sentences are not exact.
struct verdict {
  bool exact = false;           ///< the reference, word for word
  bool well_formed = false;     ///< every word parsed as an answer of this task
  bool order_right = false;     ///< the keys asked, each once, in order
  bool agreement_right = false; ///< name first, then pronouns; all of the right gender
  bool types_right = false;     ///< every class fits its value
  std::uint32_t stated = 0;     ///< facts that the answer states
  std::uint32_t right = 0;      ///< of them, asked for and true (for a counterfactual sketch: as the sketch says)
  std::uint32_t asked = 0;      ///< facts that the question asks for
  double precision() const noexcept { return stated == 0 ? 0 : static_cast<double>(right) / stated; }
  double recall() const noexcept { return asked == 0 ? 0 : static_cast<double>(right) / asked; }
};

verdict check(const world& w, const question& q, std::string_view answer);

} // namespace virga::models::world
