// models/world/world.hpp: a generated world of people, the ground truth that every answer is checked against.
// Deterministic from (seed, people); independent of machine and standard library.
// 2,500 people hold about 122,000 bits: too much for a model of 66 k parameters, little for one of 1.3 M.
#pragma once

#include "models/world/random.hpp"
#include "models/world/words.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace virga::models::world {

/// Rank by popularity: 0 is the person most asked about.
using person_id = std::uint32_t;

struct person {
  std::uint32_t first = 0, last = 0;                   ///< indices into first_names(), last_names(); pairs are unique
  bool female = false;
  std::array<std::uint32_t, attribute_count> value{};  ///< indices into values_of(attribute)
  person_id friend_id = 0;                             ///< never the person itself
};

inline constexpr std::uint64_t default_world_seed = 20261;
inline constexpr std::uint32_t default_people = 2500;

class world {
public:
  /// @param people at least 2, at most 4096 (64 x 64 names). @throws std::invalid_argument
  explicit world(std::uint64_t seed = default_world_seed, std::uint32_t people = default_people);

  std::uint64_t seed() const noexcept { return seed_; }
  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(people_.size()); }
  const person& at(person_id id) const { return people_.at(id); }

  /// "alex stone": two words.
  std::string name(person_id id) const;
  std::optional<person_id> find(std::string_view name) const;

  /// The person's value of `a`, as a word.
  std::string_view value(person_id id, attribute a) const;

  /// The class word of a value: knowledge about the value, the same for everyone who has it.
  std::string_view class_of(attribute a, std::uint32_t value) const;
  std::optional<std::uint32_t> find_value(attribute a, std::string_view word) const;

  /// Rank r with probability proportional to (r + 20)^-0.9.
  person_id draw_by_popularity(random_source& random) const;

private:
  void draw_people(std::uint32_t count, random_source& random);

  std::uint64_t seed_;
  std::vector<person> people_;
  std::array<std::vector<std::uint32_t>, attribute_count> class_of_;
  std::vector<std::uint64_t> popularity_;  ///< cumulative integer weights
  std::map<std::string, person_id, std::less<>> by_name_;
};

} // namespace virga::models::world
