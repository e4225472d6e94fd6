#include "models/hf/xxh64.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace virga::models::hf {

namespace {

constexpr std::uint64_t p1 = 0x9E3779B185EBCA87u, p2 = 0xC2B2AE3D27D4EB4Fu, p3 = 0x165667B19E3779F9u,
                        p4 = 0x85EBCA77C2B2AE63u, p5 = 0x27D4EB2F165667C5u;

template <class Word>
Word load(const std::byte* at) {
  static_assert(std::endian::native == std::endian::little);
  Word w;
  std::memcpy(&w, at, sizeof w);
  return w;
}

std::uint64_t mixed(std::uint64_t lane, std::uint64_t word) { return std::rotl(lane + word * p2, 31) * p1; }

} // namespace

const std::byte* xxh64::take(const std::byte* at, std::size_t stripes) {
  auto [a, b, c, d] = lanes_;
  for (; stripes > 0; --stripes, at += stripe) {
    a = mixed(a, load<std::uint64_t>(at));
    b = mixed(b, load<std::uint64_t>(at + 8));
    c = mixed(c, load<std::uint64_t>(at + 16));
    d = mixed(d, load<std::uint64_t>(at + 24));
  }
  lanes_ = {a, b, c, d};
  return at;
}

void xxh64::add(std::span<const std::byte> bytes) {
  auto held = length_ % stripe;
  length_ += bytes.size();
  if (held > 0) {
    auto more = std::min(stripe - held, bytes.size());
    std::ranges::copy(bytes.first(more), rest_.begin() + static_cast<std::ptrdiff_t>(held));
    bytes = bytes.subspan(more);
    if (held + more < stripe)
      return;
    take(rest_.data(), 1);
  }
  auto end = take(bytes.data(), bytes.size() / stripe);
  std::copy_n(end, bytes.size() % stripe, rest_.begin());
}

std::uint64_t xxh64::value() const {
  auto [a, b, c, d] = lanes_;
  auto h = c + p5;  // of fewer bytes than a stripe
  if (length_ >= stripe) {
    h = std::rotl(a, 1) + std::rotl(b, 7) + std::rotl(c, 12) + std::rotl(d, 18);
    for (auto lane : lanes_)
      h = (h ^ mixed(0, lane)) * p1 + p4;
  }
  h += length_;
  auto *at = rest_.data(), *end = at + length_ % stripe;
  for (; end - at >= 8; at += 8)
    h = std::rotl(h ^ mixed(0, load<std::uint64_t>(at)), 27) * p1 + p4;
  if (end - at >= 4) {
    h = std::rotl(h ^ load<std::uint32_t>(at) * p1, 23) * p2 + p3;
    at += 4;
  }
  for (; at < end; ++at)
    h = std::rotl(h ^ static_cast<std::uint64_t>(*at) * p5, 11) * p1;
  h = (h ^ h >> 33) * p2;
  h = (h ^ h >> 29) * p3;
  return h ^ h >> 32;
}

std::string xxh64::hex() const {
  std::string out;
  for (auto v = value(); out.size() < 16; v <<= 4)
    out += "0123456789abcdef"[v >> 60];
  return out;
}

} // namespace virga::models::hf
