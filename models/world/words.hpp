// models/world/words.hpp: the words that the world is made of. Own lists, lower case, no two lists share a word
// (world's constructor checks), except the towns that also name a firm.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace virga::models::world {

/// What is known about a person, beside gender and friend. The order is part of the world's definition.
enum class attribute : std::uint8_t { town, job, firm, pet, food, hobby };
inline constexpr std::size_t attribute_count = 6;
inline constexpr std::array all_attributes{attribute::town, attribute::job,  attribute::firm,
                                           attribute::pet,  attribute::food, attribute::hobby};

/// So many firms are named like a town: the ambiguity that punishes sketches without keys.
inline constexpr std::size_t shared_firms = 32;

/// The word of the attribute in questions and sketches: "town", "job", ...
std::string_view key_word(attribute a) noexcept;

/// First and last names, 64 each. First names say nothing about gender.
std::span<const std::string_view> first_names() noexcept;
std::span<const std::string_view> last_names() noexcept;

/// Values: 96 towns, 64 jobs, 96 firms (the first `shared_firms` are the first towns), 48 pets, 64 foods, 64 hobbies.
std::span<const std::string_view> values_of(attribute a) noexcept;

/// Classes that values belong to: 7 to 12 per attribute (regions, guilds, streets, collars, months, weekdays).
std::span<const std::string_view> classes_of(attribute a) noexcept;

} // namespace virga::models::world
