// Splits and drawing of requests: the other half of tasks.hpp.
#include "models/world/tasks.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace virga::models::world {

namespace {

/// Of `parts` equal parts by hash, the first is for test, the second for validation.
split split_by(std::uint64_t hash, std::uint64_t parts) {
  const auto part = hash % parts;
  return part == 0 ? split::test : part == 1 ? split::validation : split::train;
}

split split_of(const world& w, const request& r) {
  auto hash = mix64(w.seed(), r.who);
  if (r.kind == task_kind::expand) {
    return split_by(mix64(hash, 101), 10);
  }
  if (r.kind == task_kind::two_hop) {
    return split_by(mix64(hash, 201 + static_cast<std::uint64_t>(r.keys.at(0))), 20);
  }
  for (auto key : r.keys) {
    hash = mix64(hash, 301 + static_cast<std::uint64_t>(key));
  }
  return split_by(hash, 20);
}

task_kind draw_kind(const mixture& mix, random_source& random) {
  const std::array weights{mix.fact, mix.friend_of, mix.two_hop, mix.describe, mix.sketch, mix.brief, mix.expand};
  double sum = 0;
  for (auto weight : weights) {
    sum += std::max(weight, 0.0);
  }
  if (!(sum > 0)) {
    throw std::invalid_argument("A mixture needs a task with a positive weight.");
  }
  auto at = random.uniform() * sum;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    at -= std::max(weights[i], 0.0);
    if (at < 0 && weights[i] > 0) {
      return static_cast<task_kind>(i);
    }
  }
  return draw_kind(mix, random);  // rounding left nothing: draw again
}

std::vector<attribute> draw_keys(task_kind kind, const mixture& mix, random_source& random) {
  auto keys = all_attributes;
  random.shuffle(keys);
  std::size_t count = kind == task_kind::friend_of ? 0 : 1;
  if (kind >= task_kind::describe) {
    count = mix.min_keys + random.below(mix.max_keys - mix.min_keys + 1);
  }
  return {keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(count)};
}

} // namespace

std::string_view to_string(split s) noexcept {
  return s == split::train ? "train" : s == split::validation ? "validation" : "test";
}

bool belongs(const world& w, const request& r, split s) {
  if (r.stated) {
    return s != split::train;
  }
  return r.kind == task_kind::fact || r.kind == task_kind::friend_of || split_of(w, r) == s;
}

request draw_request(const world& w, split s, const mixture& mix, random_source& random) {
  if (mix.min_keys < 1 || mix.min_keys > mix.max_keys || mix.max_keys > number_words.size()) {
    throw std::invalid_argument("A mixture has 1 to 5 keys, not " + std::to_string(mix.min_keys) + " to "
                                + std::to_string(mix.max_keys) + ".");
  }
  const auto kind = draw_kind(mix, random);
  const bool uniform = mix.uniform_people || (mix.uniform_expand && kind == task_kind::expand);
  for (;;) {  // the split rejects whole requests, so the task keeps its weight
    request r{.kind = kind};
    r.who = uniform ? static_cast<person_id>(random.below(w.size())) : w.draw_by_popularity(random);
    r.keys = draw_keys(kind, mix, random);
    if (kind == task_kind::expand) {
      r.brief_sketch = random.below(10) < 3;
      r.point = static_cast<std::uint32_t>(random.below(r.keys.size()));
    }
    if (belongs(w, r, s)) {
      return r;
    }
  }
}

request draw_counterfactual(const world& w, split s, bool brief_sketch, random_source& random) {
  if (s == split::train) {
    throw std::invalid_argument("Counterfactual sketches are for validation and test, never for training.");
  }
  mixture only_expand{0, 0, 0, 0, 0, 0, 1};
  only_expand.uniform_expand = false;  // well-known people are the harder test
  auto r = draw_request(w, s, only_expand, random);
  r.brief_sketch = brief_sketch;
  r.stated = stated_facts{random.below(2) == 1, {}};
  for (auto key : r.keys) {
    const auto truth = w.at(r.who).value[static_cast<std::size_t>(key)];
    auto other = static_cast<std::uint32_t>(random.below(values_of(key).size() - 1));
    r.stated->values.push_back(other >= truth ? other + 1 : other);
  }
  return r;
}

} // namespace virga::models::world
