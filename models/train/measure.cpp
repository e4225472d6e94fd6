#include "models/train/measure.hpp"

namespace virga::models::train {

namespace {

using world::question;
using world::rate;

struct scored_set {
  std::vector<example> examples;
  std::vector<scored_example> scores;
};

class examiner {
public:
  examiner(const world::world& w, const world::vocabulary& words, const scorer& score) : w_(w), words_(words), score_(score) {}

  scored_set run(const std::vector<question>& questions) const {
    scored_set set;
    for (const auto& q : questions) {
      set.examples.push_back(make_example(words_, w_, q.ask));
    }
    set.scores = score_(set.examples);
    return set;
  }

  rate rate_of(const std::vector<question>& questions) const {
    const auto set = run(questions);
    rate r{0, set.examples.size()};
    for (std::size_t i = 0; i < set.examples.size(); ++i) {
      r.right += exact(set.examples[i], set.scores[i]) ? 1 : 0;
    }
    return r;
  }

private:
  const world::world& w_;
  const world::vocabulary& words_;
  const scorer& score_;
};

world::mixture only(world::task_kind kind) {
  world::mixture mix{0, 0, 0, 0, 0, 0, 0};
  mix.uniform_expand = false;
  switch (kind) {
    case world::task_kind::fact: mix.fact = 1; break;
    case world::task_kind::friend_of: mix.friend_of = 1; break;
    case world::task_kind::two_hop: mix.two_hop = 1; break;
    case world::task_kind::describe: mix.describe = 1; break;
    case world::task_kind::sketch: mix.sketch = 1; break;
    case world::task_kind::brief: mix.brief = 1; break;
    case world::task_kind::expand: mix.expand = 1; break;
  }
  return mix;
}

/// Expand questions whose sketch has the asked level.
std::vector<question> expand_questions(const world::world& w, world::split s, std::uint64_t seed, bool brief,
                                       std::uint32_t count) {
  auto questions = world::make_questions(w, s, seed, only(world::task_kind::expand), count);
  for (auto& q : questions) {
    q.ask.brief_sketch = brief;
    q = world::make_question(w, q.ask);
  }
  return questions;
}

/// The prompt of a fact ends "... of FIRST LAST ?": the name is the two tokens before the last one.
double name_logprob(const example& e, const scored_example& s) {
  return s[e.answer - 3].logprob + s[e.answer - 2].logprob;
}

void measure_facts(const scored_set& set, model_scores& out) {
  std::vector<world::signal> first, name;
  for (std::size_t i = 0; i < set.examples.size(); ++i) {
    const auto& e = set.examples[i];
    const auto& s = set.scores[i];
    const bool right = exact(e, s);
    out.fact_zipf.right += right ? 1 : 0;
    first.push_back({s[e.answer].best_logprob, right});
    name.push_back({name_logprob(e, s), right});
  }
  out.fact_zipf.asked = out.facts_asked = set.examples.size();
  out.first_token = world::area_under_curve(first);
  out.familiarity = world::area_under_curve(name);
}

score_row_text row(const std::string& name, const rate& r) { return {name, r.value(), world::wilson(r), r.asked}; }

} // namespace

model_scores measure(const world::world& w, const world::vocabulary& words, const scorer& score, world::split s,
                     std::uint64_t seed, std::uint32_t questions) {
  using world::task_kind;
  const examiner exam(w, words, score);
  const auto asked = [&](task_kind kind, world::split from) {
    return exam.rate_of(world::make_questions(w, from, seed, only(kind), questions));
  };
  model_scores out;
  measure_facts(exam.run(world::make_questions(w, s, seed, only(task_kind::fact), questions)), out);
  auto uniform = only(task_kind::fact);
  uniform.uniform_people = true;
  out.fact_uniform = exam.rate_of(world::make_questions(w, s, seed, uniform, questions));
  out.friend_of = asked(task_kind::friend_of, s);
  out.two_hop_seen = asked(task_kind::two_hop, world::split::train);
  out.two_hop_held_out = asked(task_kind::two_hop, s);
  out.describe = asked(task_kind::describe, s);
  out.sketch = asked(task_kind::sketch, s);
  out.brief = asked(task_kind::brief, s);
  out.expand = exam.rate_of(expand_questions(w, s, seed, false, questions));
  out.expand_brief = exam.rate_of(expand_questions(w, s, seed, true, questions));
  out.expand_counterfactual = exam.rate_of(world::make_counterfactuals(w, s, seed, false, questions));
  out.expand_brief_counterfactual = exam.rate_of(world::make_counterfactuals(w, s, seed, true, questions));
  return out;
}

std::vector<score_row_text> model_scores::rows() const {
  std::vector<score_row_text> all{
      row("fact, people by popularity", fact_zipf),
      row("fact, people uniform", fact_uniform),
      row("friend", friend_of),
      row("two-hop, pairs seen in training", two_hop_seen),
      row("two-hop, held-out pairs", two_hop_held_out),
      row("describe, held-out requests", describe),
      row("sketch level 1, held-out requests", sketch),
      row("sketch level 2, held-out requests", brief),
      row("expand level 1, people not expanded in training", expand),
      row("expand level 2, people not expanded in training", expand_brief),
      row("expand level 1, counterfactual sketches", expand_counterfactual),
      row("expand level 2, counterfactual sketches", expand_brief_counterfactual)};
  if (fact_zipf.right > 0 && fact_zipf.right < fact_zipf.asked) {  // else there is nothing to tell apart
    all.push_back({"first-token confidence, AUC", first_token.value, first_token.range, facts_asked});
    all.push_back({"prompt-only familiarity, AUC", familiarity.value, familiarity.range, facts_asked});
  }
  return all;
}

} // namespace virga::models::train
