#include "actors/gateway/key_ring.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cctype>

namespace virga {

namespace {

/// What follows "Bearer " (any case, as HTTP says); empty for anything else.
std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  if (authorization.size() <= scheme.size()
      || !std::equal(scheme.begin(), scheme.end(), authorization.begin(), [&](char s, char a) { return same(a, s); }))
    return {};
  return authorization.substr(scheme.size());
}

} // namespace

key_ring::key_ring(const std::vector<std::string>& keys) {
  for (auto& key : keys)
    digests_.push_back(digest_of(key));
}

bool key_ring::admits(std::string_view authorization) const {
  if (empty())
    return true;
  auto given = digest_of(bearer_token(authorization));
  bool found = false;
  for (auto& known : digests_)  // all of them: the time must not tell which one came close
    found |= CRYPTO_memcmp(known.data(), given.data(), given.size()) == 0;
  return found;
}

key_ring::digest key_ring::digest_of(std::string_view key) {
  digest d{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), d.data());
  return d;
}

} // namespace virga
