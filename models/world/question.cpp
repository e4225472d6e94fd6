#include "models/world/question.hpp"

#include <algorithm>

namespace virga::models::world {

namespace {

using words = std::span<const std::string_view>;

/// One fact that an answer states. A key that the answer leaves out (brief sketches) is the one asked at its place.
struct statement {
  std::optional<attribute> key;
  std::string value;
};

/// What an answer says, before it is judged.
struct parsed {
  bool complete = false;                        ///< nothing left over, at least one statement
  std::vector<statement> statements;
  std::optional<std::string> friend_name;
  std::optional<std::string> gender;            ///< the mark of a sketch
  std::vector<bindings> sentences;
};

std::optional<attribute> find_key(std::string_view word) {
  const auto found = std::find_if(all_attributes.begin(), all_attributes.end(),
                                  [word](attribute a) { return key_word(a) == word; });
  return found == all_attributes.end() ? std::nullopt : std::optional(*found);
}

bool parse_sentence(words& rest, parsed& out) {
  for (auto a : all_attributes) {
    if (auto found = match(pattern::sentence(a), rest)) {
      out.statements.push_back({a, found->at('v')});
      out.sentences.push_back(std::move(*found));
      return true;
    }
  }
  return false;
}

void parse_sentences(words rest, parsed& out) {
  while (!rest.empty() && parse_sentence(rest, out)) {
  }
  out.complete = rest.empty() && !out.sentences.empty();
}

void parse_sketch(words rest, bool brief, parsed& out) {
  const auto mark = match(pattern::sketch_start, rest);
  if (!mark) {
    return;
  }
  out.gender = mark->at('p');
  while (auto point = match(brief ? pattern::brief_point : pattern::sketch_point, rest)) {
    const auto key = brief ? std::nullopt : find_key(point->at('k'));
    if (!brief && !key) {
      return;
    }
    out.statements.push_back({key, point->at('v')});
  }
  out.complete = rest.empty() && !out.statements.empty();
}

void parse_two_hop(words rest, parsed& out) {
  const auto found = match(pattern::two_hop_answer, rest);
  if (found && find_key(found->at('k'))) {
    out.friend_name = found->at('m');
    out.statements.push_back({find_key(found->at('k')), found->at('v')});
    out.complete = rest.empty();
  }
}

parsed parse(const request& r, words rest) {
  parsed out;
  switch (r.kind) {
    case task_kind::fact:
      if (auto found = match(pattern::fact_answer, rest)) {
        out.statements.push_back({std::nullopt, found->at('v')});
        out.complete = rest.empty();
      }
      break;
    case task_kind::friend_of:
      if (auto found = match(pattern::friend_answer, rest)) {
        out.friend_name = found->at('m');
        out.complete = rest.empty();
      }
      break;
    case task_kind::two_hop: parse_two_hop(rest, out); break;
    case task_kind::describe:
    case task_kind::expand: parse_sentences(rest, out); break;
    case task_kind::sketch: parse_sketch(rest, false, out); break;
    case task_kind::brief: parse_sketch(rest, true, out); break;
  }
  return out;
}

/// What the answer is judged by: the world's facts, or those of a counterfactual sketch.
struct truth {
  std::string name, friend_name;
  bool female;
  std::vector<attribute> keys;      ///< those to be answered
  std::vector<std::string> values;  ///< of them
  bool by_name;                     ///< the first sentence says the name
};

truth truth_of(const world& w, const request& r) {
  const auto& p = w.at(r.who);
  truth t{w.name(r.who), w.name(p.friend_id), r.stated ? r.stated->female : p.female, {}, {}, true};
  for (std::size_t i = 0; i < r.keys.size(); ++i) {
    if (r.kind == task_kind::expand && i != r.point) {
      continue;
    }
    const auto who = r.kind == task_kind::two_hop ? p.friend_id : r.who;
    t.keys.push_back(r.keys[i]);
    t.values.emplace_back(r.stated ? values_of(r.keys[i])[r.stated->values[i]] : w.value(who, r.keys[i]));
  }
  t.by_name = r.kind != task_kind::expand || r.point == 0;
  return t;
}

bool types_fit(const world& w, const parsed& p) {
  for (std::size_t i = 0; i < p.sentences.size(); ++i) {
    const auto key = *p.statements[i].key;
    const auto value = w.find_value(key, p.statements[i].value);
    if (!value || w.class_of(key, *value) != p.sentences[i].at('c')) {
      return false;
    }
  }
  return true;
}

bool agrees(const truth& t, const parsed& p) {
  if (p.gender && *p.gender != pronoun(t.female)) {
    return false;
  }
  for (std::size_t i = 0; i < p.sentences.size(); ++i) {
    const auto& said = p.sentences[i];
    const auto subject = i == 0 && t.by_name ? t.name : std::string(pronoun(t.female));
    if (said.at('s') != subject || (said.contains('p') && said.at('p') != pronoun(t.female))
        || (said.contains('o') && said.at('o') != possessive(t.female))) {
      return false;
    }
  }
  return true;
}

/// Facts right: each key counts once, so a repetition lowers precision and does not raise recall.
void judge_facts(const truth& t, const parsed& p, bool asks_friend, verdict& out) {
  out.asked = static_cast<std::uint32_t>(t.keys.size()) + (asks_friend ? 1 : 0);
  out.stated = static_cast<std::uint32_t>(p.statements.size()) + (p.friend_name ? 1 : 0);
  out.right = asks_friend && p.friend_name == t.friend_name ? 1 : 0;
  out.order_right = p.statements.size() == t.keys.size();
  std::vector<bool> counted(t.keys.size());
  for (std::size_t i = 0; i < p.statements.size(); ++i) {
    const auto& said = p.statements[i];
    const auto place = said.key ? std::find(t.keys.begin(), t.keys.end(), *said.key) - t.keys.begin()
                                : static_cast<std::ptrdiff_t>(i);
    const auto at = static_cast<std::size_t>(place);
    out.order_right = out.order_right && at == i;
    if (at < t.keys.size() && !counted[at] && said.value == t.values[at]) {
      counted[at] = true;
      ++out.right;
    }
  }
}

} // namespace

question make_question(const world& w, request r) {
  auto prompt = join(prompt_of(w, r)), answer = join(answer_of(w, r));
  return {std::move(r), std::move(prompt), std::move(answer)};
}

std::vector<question> make_questions(const world& w, split s, std::uint64_t seed, const mixture& mix,
                                     std::uint32_t count) {
  random_source random(mix64(mix64(seed, 1001), static_cast<std::uint64_t>(s)));
  std::vector<question> questions;
  for (std::uint32_t i = 0; i < count; ++i) {
    questions.push_back(make_question(w, draw_request(w, s, mix, random)));
  }
  return questions;
}

std::vector<question> make_counterfactuals(const world& w, split s, std::uint64_t seed, bool brief_sketch,
                                           std::uint32_t count) {
  random_source random(mix64(mix64(seed, 1002), static_cast<std::uint64_t>(s)));
  std::vector<question> questions;
  for (std::uint32_t i = 0; i < count; ++i) {
    questions.push_back(make_question(w, draw_counterfactual(w, s, brief_sketch, random)));
  }
  return questions;
}

mixture demo_mixture() {
  mixture mix{.fact = 40, .friend_of = 10, .two_hop = 10, .describe = 40, .sketch = 0, .brief = 0, .expand = 0};
  mix.min_keys = 3;
  return mix;
}

verdict check(const world& w, const question& q, std::string_view answer) {
  const auto given = split_words(answer);
  const auto found = parse(q.ask, given);
  const auto facts = truth_of(w, q.ask);
  verdict out;
  out.exact = given == split_words(q.answer);
  out.well_formed = found.complete;
  out.types_right = found.complete && types_fit(w, found);
  out.agreement_right = found.complete && agrees(facts, found);
  judge_facts(facts, found, q.ask.kind == task_kind::friend_of || q.ask.kind == task_kind::two_hop, out);
  out.order_right = out.order_right && found.complete;
  return out;
}

} // namespace virga::models::world
