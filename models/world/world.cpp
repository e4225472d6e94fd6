#include "models/world/world.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace virga::models::world {

namespace {

// Integers, so that a last-digit difference of pow() between libraries does not reach the draws in practice.
std::vector<std::uint64_t> cumulative_popularity(std::uint32_t people) {
  std::vector<std::uint64_t> sums;
  sums.reserve(people);
  std::uint64_t sum = 0;
  for (std::uint32_t rank = 0; rank < people; ++rank) {
    sum += static_cast<std::uint64_t>(std::llround(1e7 * std::pow(rank + 20.0, -0.9)));
    sums.push_back(sum);
  }
  return sums;
}

} // namespace

world::world(std::uint64_t seed, std::uint32_t people) : seed_(seed) {
  const auto pairs = first_names().size() * last_names().size();
  if (people < 2 || people > pairs) {
    throw std::invalid_argument("A world has 2 to " + std::to_string(pairs) + " people, not "
                                + std::to_string(people) + ".");
  }
  random_source random(seed);
  for (auto a : all_attributes) {
    auto& classes = class_of_[static_cast<std::size_t>(a)];
    classes.resize(values_of(a).size());
    for (auto& c : classes) {
      c = static_cast<std::uint32_t>(random.below(classes_of(a).size()));
    }
  }
  draw_people(people, random);
  popularity_ = cumulative_popularity(people);
}

void world::draw_people(std::uint32_t count, random_source& random) {
  std::vector<std::uint32_t> pairs(first_names().size() * last_names().size());
  std::iota(pairs.begin(), pairs.end(), 0u);
  random.shuffle(pairs);
  people_.resize(count);
  for (person_id id = 0; id < count; ++id) {
    auto& p = people_[id];
    p.first = pairs[id] / static_cast<std::uint32_t>(last_names().size());
    p.last = pairs[id] % static_cast<std::uint32_t>(last_names().size());
    p.female = random.below(2) == 1;
    for (auto a : all_attributes) {
      p.value[static_cast<std::size_t>(a)] = static_cast<std::uint32_t>(random.below(values_of(a).size()));
    }
    p.friend_id = static_cast<person_id>(random.below(count - 1));
    p.friend_id += p.friend_id >= id ? 1 : 0;
    by_name_[name(id)] = id;
  }
}

std::string world::name(person_id id) const {
  const auto& p = people_.at(id);
  return std::string(first_names()[p.first]) + " " + std::string(last_names()[p.last]);
}

std::optional<person_id> world::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? std::nullopt : std::optional(found->second);
}

std::string_view world::value(person_id id, attribute a) const {
  return values_of(a)[people_.at(id).value[static_cast<std::size_t>(a)]];
}

std::string_view world::class_of(attribute a, std::uint32_t value) const {
  return classes_of(a)[class_of_[static_cast<std::size_t>(a)].at(value)];
}

std::optional<std::uint32_t> world::find_value(attribute a, std::string_view word) const {
  const auto values = values_of(a);
  const auto found = std::find(values.begin(), values.end(), word);
  return found == values.end() ? std::nullopt : std::optional(static_cast<std::uint32_t>(found - values.begin()));
}

person_id world::draw_by_popularity(random_source& random) const {
  const auto at = random.below(popularity_.back());
  return static_cast<person_id>(std::upper_bound(popularity_.begin(), popularity_.end(), at) - popularity_.begin());
}

} // namespace virga::models::world
