// The exact checker: what is right, what is not, and that a second parser agrees.
#include "models/world/question.hpp"
#include "tests/models/world_hand_parser.hpp"
#include "tests/support/catch.hpp"

#include <map>

using namespace virga::models::world;

namespace {

const world& the_world() {
  static const world w;
  return w;
}

question describe_question(std::vector<attribute> keys, person_id who = 11) {
  return make_question(the_world(), {.kind = task_kind::describe, .who = who, .keys = std::move(keys)});
}

std::string replaced(std::string line, const std::string& from, const std::string& to) {
  const auto at = line.find(from);
  REQUIRE(at != std::string::npos);
  return line.replace(at, from.size(), to);
}

/// Another value of the attribute than the person's.
std::string wrong_value(attribute a, person_id who) {
  const auto truth = the_world().at(who).value[static_cast<std::size_t>(a)];
  return std::string(values_of(a)[(truth + 1) % values_of(a).size()]);
}

/// Facts that the hand parser finds right in a description.
std::optional<std::uint32_t> right_by_hand(const question& q, const std::string& answer) {
  const auto found = hand::description(answer);
  if (!found) {
    return std::nullopt;
  }
  std::map<std::string, std::string> truth;
  for (auto key : q.ask.keys) {
    truth[std::string(key_word(key))] = the_world().value(q.ask.who, key);
  }
  std::uint32_t right = 0;
  for (const auto& s : *found) {
    if (truth.contains(s.key) && truth[s.key] == s.value) {
      ++right;
      truth.erase(s.key);
    }
  }
  return right;
}

} // namespace

TEST_CASE("every reference answer is exact and right in every part", "[models][world][checker]") {
  for (const auto& q : make_questions(the_world(), split::test, 6, {}, 2000)) {
    INFO(q.prompt << " -> " << q.answer);
    const auto v = check(the_world(), q, q.answer);
    CHECK(v.exact);
    CHECK(v.well_formed);
    CHECK(v.order_right);
    CHECK(v.agreement_right);
    CHECK(v.types_right);
    CHECK(v.recall() == 1);
    CHECK(v.precision() == 1);
    CHECK(v.asked >= 1);
  }
}

TEST_CASE("empty, truncated, repeated and extra sentences are not exact", "[models][world][checker]") {
  const auto q = describe_question({attribute::town, attribute::pet});
  const auto& a = q.answer;
  CHECK_FALSE(check(the_world(), q, "").well_formed);
  const auto cut = check(the_world(), q, a.substr(0, a.size() - 2));
  CHECK_FALSE(cut.exact);
  CHECK_FALSE(cut.well_formed);
  const auto first = a.substr(0, a.find(" .") + 2);
  const auto half = check(the_world(), q, first);
  CHECK(half.well_formed);
  CHECK_FALSE(half.exact);
  CHECK(half.recall() == 0.5);
  CHECK(half.precision() == 1);
  const auto twice = check(the_world(), q, a + " " + a);
  CHECK_FALSE(twice.exact);
  CHECK_FALSE(twice.order_right);
  CHECK(twice.recall() == 1);
  CHECK(twice.precision() == 0.5);
  CHECK_FALSE(check(the_world(), q, a + " and").well_formed);
}

TEST_CASE("each kind of mistake shows in its own part", "[models][world][checker]") {
  const auto q = describe_question({attribute::job, attribute::food, attribute::town});
  const person_id who = q.ask.who;
  const auto job = std::string(the_world().value(who, attribute::job));
  const auto wrong_fact = check(the_world(), q, replaced(q.answer, " a " + job + " ,", " a " + wrong_value(attribute::job, who) + " ,"));
  CHECK(wrong_fact.well_formed);
  CHECK(wrong_fact.order_right);
  CHECK(wrong_fact.right == 2);
  const bool female = the_world().at(who).female;
  const auto wrong_gender = check(the_world(), q, replaced(q.answer, std::string(" ") + std::string(possessive(female)) + " ",
                                                           " " + std::string(possessive(!female)) + " "));
  CHECK_FALSE(wrong_gender.agreement_right);
  CHECK(wrong_gender.recall() == 1);
  const auto swapped = check(the_world(), q, describe_question({attribute::food, attribute::job, attribute::town}).answer);
  CHECK_FALSE(swapped.order_right);
  CHECK(swapped.recall() == 1);
  CHECK_FALSE(swapped.exact);
  const auto type = std::string(the_world().class_of(attribute::job, the_world().at(who).value[1]));
  const auto wrong_type = check(the_world(), q, replaced(q.answer, type + " guild", (type == "iron" ? "tin" : "iron") + std::string(" guild")));
  CHECK_FALSE(wrong_type.types_right);
  CHECK(wrong_type.recall() == 1);
  for (const auto& v : {wrong_fact, wrong_gender, swapped, wrong_type}) {
    CHECK_FALSE(v.exact);
  }
}

TEST_CASE("an answer about someone else is wrong", "[models][world][checker]") {
  const auto q = describe_question({attribute::job, attribute::food}, 11);
  const auto v = check(the_world(), q, describe_question({attribute::job, attribute::food}, 12).answer);
  CHECK(v.well_formed);
  CHECK_FALSE(v.agreement_right);
  CHECK_FALSE(v.exact);
  const auto friends = make_question(the_world(), {.kind = task_kind::friend_of, .who = 3});
  CHECK(check(the_world(), friends, the_world().name(3) + " .").right == 0);
  CHECK_FALSE(check(the_world(), friends, "kim .").well_formed);
}

TEST_CASE("sketches are judged with and without keys", "[models][world][checker]") {
  request r{.kind = task_kind::sketch, .who = 5, .keys = {attribute::pet, attribute::hobby}};
  const auto with_keys = make_question(the_world(), r);
  r.kind = task_kind::brief;
  const auto without = make_question(the_world(), r);
  CHECK_FALSE(check(the_world(), with_keys, without.answer).well_formed);
  CHECK_FALSE(check(the_world(), without, with_keys.answer).well_formed);
  const auto pet = std::string(the_world().value(5, attribute::pet)), hobby = std::string(the_world().value(5, attribute::hobby));
  const auto mark = std::string(pronoun(the_world().at(5).female));
  const auto swapped = check(the_world(), without, mark + " ; " + hobby + " ; " + pet);
  CHECK(swapped.well_formed);
  CHECK(swapped.right == 0);
  const auto wrong_mark = check(the_world(), with_keys, replaced(with_keys.answer, mark + " ;", std::string(pronoun(!the_world().at(5).female)) + " ;"));
  CHECK_FALSE(wrong_mark.agreement_right);
  CHECK_FALSE(wrong_mark.exact);
  CHECK_FALSE(check(the_world(), with_keys, mark + " ; planet mars").well_formed);
}

TEST_CASE("a parser written by hand agrees with the one made from the templates", "[models][world][checker]") {
  random_source random(12);
  const mixture describe_only{.fact = 0, .friend_of = 0, .two_hop = 0, .describe = 1, .sketch = 0, .brief = 0, .expand = 0};
  for (const auto& q : make_questions(the_world(), split::test, 7, describe_only, 400)) {
    const auto found = hand::description(q.answer);
    REQUIRE(found);
    REQUIRE(found->size() == q.ask.keys.size());
    for (std::size_t i = 0; i < found->size(); ++i) {
      const auto& s = found->at(i);
      const auto key = q.ask.keys[i];
      const auto& p = the_world().at(q.ask.who);
      CHECK(s.key == key_word(key));
      CHECK(s.value == the_world().value(q.ask.who, key));
      CHECK(s.type == the_world().class_of(key, p.value[static_cast<std::size_t>(key)]));
      CHECK(s.subject == (i == 0 ? the_world().name(q.ask.who) : p.female ? "she" : "he"));
      for (const auto& g : s.gendered) {
        CHECK((g == (p.female ? "she" : "he") || g == (p.female ? "her" : "his")));
      }
    }
    // Words removed, doubled and exchanged at random: both parsers must still see the same.
    for (int i = 0; i < 20; ++i) {
      auto words = hand::words_of(q.answer);
      const auto at = random.below(words.size());
      switch (random.below(3)) {
        case 0: words.erase(words.begin() + static_cast<std::ptrdiff_t>(at)); break;
        case 1: words.insert(words.begin() + static_cast<std::ptrdiff_t>(at), words[at]); break;
        default: words[at] = words[random.below(words.size())];
      }
      std::string line;
      for (const auto& w : words) {
        line += (line.empty() ? "" : " ") + w;
      }
      INFO(line);
      const auto v = check(the_world(), q, line);
      const auto by_hand = right_by_hand(q, line);
      CHECK(v.exact == (line == q.answer));
      if (v.well_formed) {
        REQUIRE(by_hand);
        CHECK(v.right == *by_hand);
      }
    }
  }
}

TEST_CASE("the hand parser reads sketches as they were meant", "[models][world][checker]") {
  const mixture sketch_only{.fact = 0, .friend_of = 0, .two_hop = 0, .describe = 0, .sketch = 1, .brief = 0, .expand = 0};
  for (const auto& q : make_questions(the_world(), split::test, 8, sketch_only, 200)) {
    const auto found = hand::sketch(q.answer);
    REQUIRE(found);
    CHECK(found->first == (the_world().at(q.ask.who).female ? "she" : "he"));
    REQUIRE(found->second.size() == q.ask.keys.size());
    for (std::size_t i = 0; i < q.ask.keys.size(); ++i) {
      CHECK(found->second[i].first == key_word(q.ask.keys[i]));
      CHECK(found->second[i].second == the_world().value(q.ask.who, q.ask.keys[i]));
    }
  }
}
