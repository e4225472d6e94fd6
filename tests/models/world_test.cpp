// The generated world: the same everywhere, readable, one token per word.
#include "models/world/vocabulary.hpp"
#include "models/world/world.hpp"
#include "models/world/templates.hpp"
#include "tests/support/catch.hpp"

#include <cmath>
#include <set>

using namespace virga::models::world;

namespace {

std::uint64_t digest(const world& w) {
  std::uint64_t hash = 0;
  for (person_id id = 0; id < w.size(); ++id) {
    const auto& p = w.at(id);
    hash = mix64(hash, mix64(mix64(p.first, p.last), mix64(p.female ? 1 : 0, p.friend_id)));
    for (auto a : all_attributes) {
      const auto v = p.value[static_cast<std::size_t>(a)];
      hash = mix64(hash, v);
      for (char c : w.class_of(a, v)) {
        hash = mix64(hash, static_cast<std::uint64_t>(c));
      }
    }
  }
  return hash;
}

} // namespace

TEST_CASE("xoshiro256** and SplitMix64 give their published numbers", "[models][world]") {
  // SplitMix64 from seed 0: first outputs of the reference implementation.
  CHECK(mix64(0) == 0xe220a8397b1dcdafu);
  CHECK(mix64(0x9e3779b97f4a7c15u) == 0x6e789e6aa1b965f4u);
  random_source a(42), b(42), c(43);
  const auto first = a.next();
  CHECK(first == b.next());
  CHECK(first != c.next());
}

TEST_CASE("ranges are hit evenly and never left", "[models][world]") {
  random_source random(5);
  std::array<int, 7> hits{};
  for (int i = 0; i < 70'000; ++i) {
    ++hits.at(random.below(7));
  }
  for (auto h : hits) {
    CHECK(std::abs(h - 10'000) < 400);  // four standard deviations are 370
  }
  CHECK(random.below(1) == 0);
}

TEST_CASE("the default world is the one that the zoo was trained on", "[models][world]") {
  CHECK(digest(world()) == 0x482e8c2cd16a9050u);
  CHECK(digest(world(default_world_seed + 1)) != digest(world()));
}

TEST_CASE("people have unique names, a friend who is someone else, and values in range", "[models][world]") {
  const world w;
  std::set<std::string> names;
  for (person_id id = 0; id < w.size(); ++id) {
    names.insert(w.name(id));
    CHECK(w.find(w.name(id)) == id);
    CHECK(w.at(id).friend_id != id);
    CHECK(w.at(id).friend_id < w.size());
    for (auto a : all_attributes) {
      CHECK(w.at(id).value[static_cast<std::size_t>(a)] < values_of(a).size());
    }
  }
  CHECK(names.size() == default_people);
  CHECK_FALSE(w.find("nobody here"));
}

TEST_CASE("the lists have their sizes, and 32 firms are named like towns", "[models][world]") {
  CHECK(first_names().size() == 64);
  CHECK(last_names().size() == 64);
  const std::array<std::size_t, attribute_count> sizes{96, 64, 96, 48, 64, 64};
  for (auto a : all_attributes) {
    CHECK(values_of(a).size() == sizes[static_cast<std::size_t>(a)]);
    CHECK(classes_of(a).size() >= 6);
    CHECK(classes_of(a).size() <= 12);
  }
  const auto towns = values_of(attribute::town), firms = values_of(attribute::firm);
  const std::set<std::string_view> town_set(towns.begin(), towns.end());
  CHECK(std::count_if(firms.begin(), firms.end(), [&](auto f) { return town_set.contains(f); }) == shared_firms);
}

TEST_CASE("popular people are drawn about as often as their rank says", "[models][world]") {
  const world w;
  random_source random(9);
  double sum = 0;
  for (person_id r = 0; r < w.size(); ++r) {
    sum += std::pow(r + 20.0, -0.9);
  }
  int top = 0;
  constexpr int draws = 100'000;
  for (int i = 0; i < draws; ++i) {
    const auto id = w.draw_by_popularity(random);
    REQUIRE(id < w.size());
    top += id == 0 ? 1 : 0;
  }
  const auto expected = draws * std::pow(20.0, -0.9) / sum;
  CHECK(std::abs(top - expected) < 4 * std::sqrt(expected));
}

TEST_CASE("a world with too few or too many people is refused", "[models][world]") {
  CHECK_THROWS_WITH(world(1, 1), Catch::Contains("2 to 4096 people, not 1"));
  CHECK_THROWS_AS(world(1, 4097), std::invalid_argument);
  CHECK(world(1, 4096).size() == 4096);
}

TEST_CASE("every word is one token, and tokens are words again", "[models][world]") {
  const vocabulary words;
  std::set<std::string> unique(words.words().begin(), words.words().end());
  CHECK(unique.size() == words.size());
  for (virga::token_id id = 0; id < words.size(); ++id) {
    CHECK(words.id_of(words.words()[id]) == id);
    CHECK(words.words()[id].find(' ') == std::string::npos);
  }
  CHECK(words.id_of("xylophone") == vocabulary::unk);
  CHECK(words.encode("oslo lives xylophone") == std::vector{words.id_of("oslo"), words.id_of("lives"), vocabulary::unk});
}

TEST_CASE("sentences have 12 to 18 words and a full stop", "[models][world]") {
  for (auto a : all_attributes) {
    for (bool by_name : {true, false}) {
      text sentence;
      fill(sentence, pattern::sentence(a), {.name = "kim clarke", .value = "x", .type = "y", .by_name = by_name});
      CHECK(sentence.size() >= 13);
      CHECK(sentence.size() <= 19);
      CHECK(sentence.back().text == ".");
    }
  }
}
