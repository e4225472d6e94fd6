// actors/gateway/key_ring.hpp: the API keys. Only their digests are kept, so no key can reach a log.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace virga {

class key_ring {
public:
  explicit key_ring(const std::vector<std::string>& keys);

  /// Without keys everybody is let in.
  bool empty() const { return digests_.empty(); }

  /// Is this the value of an Authorization header, "Bearer KEY", with one of the keys? Takes the same time for every
  /// wrong key.
  bool admits(std::string_view authorization) const;

private:
  using digest = std::array<unsigned char, 32>;
  static digest digest_of(std::string_view key);

  std::vector<digest> digests_;
};

} // namespace virga
