// Tasks and splits: what training may see, and what it may not.
#include "models/world/question.hpp"
#include "models/world/vocabulary.hpp"
#include "tests/support/catch.hpp"

#include <map>
#include <set>

using namespace virga::models::world;

namespace {

const std::array splits{split::train, split::validation, split::test};

mixture only_expand() { return {.fact = 0, .friend_of = 0, .two_hop = 0, .describe = 0, .sketch = 0, .brief = 0, .expand = 1}; }
mixture only_two_hop() { return {.fact = 0, .friend_of = 0, .two_hop = 1, .describe = 0, .sketch = 0, .brief = 0, .expand = 0}; }
mixture only_describe() { return {.fact = 0, .friend_of = 0, .two_hop = 0, .describe = 1, .sketch = 0, .brief = 0, .expand = 0}; }

/// The share of an unrestricted population that belongs to each split.
template <class Draw>
std::map<split, double> shares(const world& w, Draw draw) {
  std::map<split, double> share;
  random_source random(77);
  for (int i = 0; i < 20'000; ++i) {
    const request r = draw(random);
    for (auto s : splits) {
      share[s] += belongs(w, r, s) ? 1.0 / 20'000 : 0;
    }
  }
  return share;
}

} // namespace

TEST_CASE("prompts end so that the answer follows, and every word is known", "[models][world][tasks]") {
  const world w;
  const vocabulary words;
  for (const auto& q : make_questions(w, split::train, 1, {}, 500)) {
    CHECK(q.prompt.ends_with(" ?"));
    for (const auto& line : {q.prompt, q.answer}) {
      for (auto id : words.encode(line)) {
        CHECK(id > vocabulary::unk);
      }
    }
  }
}

TEST_CASE("the wordings are these", "[models][world][tasks]") {
  const world w;
  const auto name = w.name(7), other = w.name(w.at(7).friend_id);
  const auto value = [&](person_id id, attribute a) { return std::string(w.value(id, a)); };
  const auto she = std::string(pronoun(w.at(7).female));
  const std::vector keys{attribute::job, attribute::town};
  const auto job = value(7, attribute::job), town = value(7, attribute::town);
  const auto asked = [&](request r) { return make_question(w, std::move(r)); };
  const auto fact = asked({.kind = task_kind::fact, .who = 7, .keys = {attribute::pet}});
  CHECK(fact.prompt == "what is the pet of " + name + " ?");
  CHECK(fact.answer == value(7, attribute::pet) + " .");
  CHECK(asked({.kind = task_kind::friend_of, .who = 7}).answer == other + " .");
  CHECK(asked({.kind = task_kind::two_hop, .who = 7, .keys = {attribute::food}}).answer
        == "the friend is " + other + " and the food is " + value(w.at(7).friend_id, attribute::food) + " .");
  CHECK(asked({.kind = task_kind::describe, .who = 7, .keys = keys}).prompt == "describe " + name + " : job town ?");
  CHECK(asked({.kind = task_kind::sketch, .who = 7, .keys = keys}).answer == she + " ; job " + job + " ; town " + town);
  CHECK(asked({.kind = task_kind::brief, .who = 7, .keys = keys}).answer == she + " ; " + job + " ; " + town);
  const auto first = asked({.kind = task_kind::expand, .who = 7, .keys = keys, .point = 0});
  CHECK(first.prompt == "expand " + she + " ; job " + job + " ; town " + town + " : point one of " + name + " ?");
  CHECK(first.answer.starts_with(name + " works as a " + job + " , a job of the "));
  const auto second = asked({.kind = task_kind::expand, .who = 7, .keys = keys, .brief_sketch = true, .point = 1});
  CHECK(second.prompt == "expand " + she + " ; " + job + " ; " + town + " : point two ?");
  CHECK(second.answer.starts_with(she + " lives in " + town + " , a town of the "));
}

TEST_CASE("a description is its sketch, expanded point by point", "[models][world][tasks]") {
  const world w;
  for (const auto& q : make_questions(w, split::train, 2, only_describe(), 200)) {
    std::string pieces;
    for (std::uint32_t point = 0; point < q.ask.keys.size(); ++point) {
      auto r = q.ask;
      r.kind = task_kind::expand;
      r.point = point;
      pieces += (point > 0 ? " " : "") + make_question(w, r).answer;
    }
    CHECK(pieces == q.answer);
  }
}

TEST_CASE("training never draws what is held out", "[models][world][tasks]") {
  const world w;
  std::set<std::string> trained;
  std::set<person_id> expanded;
  for (const auto& q : make_questions(w, split::train, 3, {}, 30'000)) {
    CHECK(belongs(w, q.ask, split::train));
    CHECK_FALSE(q.ask.stated);
    trained.insert(q.prompt);
    if (q.ask.kind == task_kind::expand) {
      expanded.insert(q.ask.who);
    }
  }
  for (auto s : {split::validation, split::test}) {
    for (auto kind_only : {only_describe(), only_two_hop()}) {
      for (const auto& q : make_questions(w, s, 4, kind_only, 1000)) {
        CHECK_FALSE(trained.contains(q.prompt));
      }
    }
    for (const auto& q : make_questions(w, s, 4, only_expand(), 1000)) {
      CHECK_FALSE(expanded.contains(q.ask.who));
    }
  }
}

TEST_CASE("a tenth of descriptions and two-hops and a fifth of the expanded people are held out", "[models][world][tasks]") {
  const world w;
  auto share = shares(w, [&](random_source& random) {
    request r{.kind = task_kind::describe, .who = static_cast<person_id>(random.below(w.size()))};
    auto keys = all_attributes;
    random.shuffle(keys);
    r.keys.assign(keys.begin(), keys.begin() + 3);
    return r;
  });
  CHECK(share[split::test] == Approx(0.05).margin(0.007));
  CHECK(share[split::validation] == Approx(0.05).margin(0.007));
  CHECK(share[split::train] == Approx(0.9).margin(0.01));
  share = shares(w, [&](random_source& random) {
    const auto who = static_cast<person_id>(random.below(w.size()));
    return request{.kind = task_kind::two_hop, .who = who, .keys = {all_attributes[random.below(6)]}};
  });
  CHECK(share[split::test] + share[split::validation] == Approx(0.1).margin(0.01));
  std::map<split, int> people;
  for (person_id who = 0; who < w.size(); ++who) {
    const request r{.kind = task_kind::expand, .who = who, .keys = {attribute::pet, attribute::town}};
    for (auto s : splits) {
      people[s] += belongs(w, r, s) ? 1 : 0;
    }
  }
  CHECK(people[split::test] + people[split::validation] == Approx(0.2 * w.size()).margin(80));
  CHECK(people[split::train] + people[split::test] + people[split::validation] == static_cast<int>(w.size()));
}

TEST_CASE("counterfactual sketches contradict the world in every value and are never for training", "[models][world][tasks]") {
  const world w;
  random_source random(1);
  CHECK_THROWS_WITH(draw_counterfactual(w, split::train, false, random), Catch::Contains("never for training"));
  for (const auto& q : make_counterfactuals(w, split::test, 1, false, 500)) {
    REQUIRE(q.ask.stated);
    for (std::size_t i = 0; i < q.ask.keys.size(); ++i) {
      CHECK(q.ask.stated->values[i] != w.at(q.ask.who).value[static_cast<std::size_t>(q.ask.keys[i])]);
    }
    CHECK(check(w, q, q.answer).exact);
    CHECK(check(w, q, q.answer).right == 1);
  }
}

TEST_CASE("tasks come in the mixture's shares", "[models][world][tasks]") {
  const world w;
  std::map<task_kind, double> share;
  const mixture mix;
  for (const auto& q : make_questions(w, split::train, 5, mix, 20'000)) {
    share[q.ask.kind] += 1.0 / 20'000;
  }
  const auto sum = mix.fact + mix.friend_of + mix.two_hop + mix.describe + mix.sketch + mix.brief + mix.expand;
  CHECK(share[task_kind::fact] == Approx(mix.fact / sum).margin(0.015));
  CHECK(share[task_kind::describe] == Approx(mix.describe / sum).margin(0.015));
  CHECK(share[task_kind::brief] == Approx(mix.brief / sum).margin(0.015));
  CHECK(share[task_kind::expand] == Approx(mix.expand / sum).margin(0.015));
}

TEST_CASE("a quarter of the demo's questions have answers of 40 tokens or more", "[models][world][tasks]") {
  const world w;
  const vocabulary words;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    int longer = 0;
    for (const auto& q : make_questions(w, split::test, seed, demo_mixture(), 200)) {
      longer += words.encode(q.answer).size() >= 40 ? 1 : 0;
    }
    CHECK(longer >= 50);
  }
}

TEST_CASE("question sets repeat with their seed", "[models][world][tasks]") {
  const world w;
  const auto prompts = [&](std::uint64_t seed) {
    std::string all;
    for (const auto& q : make_questions(w, split::test, seed, {}, 50)) {
      all += q.prompt + "\n";
    }
    return all;
  };
  CHECK(prompts(1) == prompts(1));
  CHECK(prompts(1) != prompts(2));
  CHECK(make_questions(w, split::test, 1, {}, 1)[0].prompt != make_questions(w, split::validation, 1, {}, 1)[0].prompt);
}

TEST_CASE("requests that break the rules are refused with a sentence", "[models][world][tasks]") {
  const world w;
  CHECK_THROWS_WITH(make_question(w, {.kind = task_kind::fact, .who = 1}), Catch::Contains("fact request cannot have 0 keys"));
  CHECK_THROWS_AS(make_question(w, {.kind = task_kind::expand, .who = 1, .keys = {attribute::pet}, .point = 1}),
                  std::invalid_argument);
  CHECK_THROWS_AS(make_questions(w, split::test, 1, {.min_keys = 3, .max_keys = 6}, 1), std::invalid_argument);
  CHECK_THROWS_WITH(make_questions(w, split::test, 1,
                                   {.fact = 0, .friend_of = 0, .two_hop = 0, .describe = 0, .sketch = 0, .brief = 0, .expand = 0}, 1),
                    Catch::Contains("positive weight"));
}
