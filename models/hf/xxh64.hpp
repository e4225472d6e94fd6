// models/hf/xxh64.hpp: XXH64, a checksum at the pace of memory: for damage, not for malice. Private to models/hf.
// Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, seed 0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace virga::models::hf {

class xxh64 {
public:
  void add(std::span<const std::byte> bytes);
  void add(const std::string& text) { add(std::as_bytes(std::span(text))); }
  std::uint64_t value() const;
  std::string hex() const;  ///< 16 hexadecimal digits

private:
  static constexpr std::size_t stripe = 32;
  static constexpr std::uint64_t first = 0x9E3779B185EBCA87u, second = 0xC2B2AE3D27D4EB4Fu;

  const std::byte* take(const std::byte* at, std::size_t stripes);

  std::array<std::uint64_t, 4> lanes_{first + second, second, 0, 0 - first};
  std::array<std::byte, stripe> rest_{};
  std::uint64_t length_ = 0;
};

} // namespace virga::models::hf
