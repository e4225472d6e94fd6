// models/world/random.hpp: numbers that are the same on every machine and with every standard library.
// SplitMix64 (Steele, Lea, Flood 2014) seeds xoshiro256** (Blackman, Vigna 2018); ranges by rejection; own shuffle.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace virga::models::world {

/// One step of SplitMix64 as a hash of 64 bits: every input bit reaches every output bit.
constexpr std::uint64_t mix64(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Hash of two numbers, order matters. Chains over longer keys.
constexpr std::uint64_t mix64(std::uint64_t a, std::uint64_t b) noexcept { return mix64(mix64(a) ^ b); }

/// xoshiro256**. Copies continue independently from the same point.
class random_source {
public:
  explicit constexpr random_source(std::uint64_t seed) noexcept {
    for (auto& word : state_) {
      word = mix64(seed);
      seed += 0x9e3779b97f4a7c15u;
    }
  }

  constexpr std::uint64_t next() noexcept {
    const auto result = std::rotl(state_[1] * 5, 7) * 9;
    const auto t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// Uniform in [0, n), without modulo bias. @param n at least 1
  constexpr std::uint64_t below(std::uint64_t n) noexcept {
    const auto reject_under = (0 - n) % n;  // 2^64 mod n
    auto x = next();
    while (x < reject_under) {
      x = next();
    }
    return x % n;
  }

  /// Uniform in (0, 1): 53 bits, never 0.
  constexpr double uniform() noexcept { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }

  /// Fisher-Yates.
  template <class Items>
  constexpr void shuffle(Items& items) noexcept {
    for (std::size_t i = items.size(); i > 1; --i) {
      std::swap(items[i - 1], items[below(i)]);
    }
  }

private:
  std::array<std::uint64_t, 4> state_{};
};

} // namespace virga::models::world
