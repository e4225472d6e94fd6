// actors/planted.hpp: bugs that the simulation switches on to prove that its checker finds them. Never set by a manifest.
#pragma once

#include <cstdint>

namespace virga {

enum class planted_bug : std::uint8_t {
  none,
  lost_truncate,       ///< engine: a retry from an earlier position is appended to the cache it should have rolled back
  accepted_duplicate,  ///< link and relay: what comes twice is taken twice
  swallowed_error,     ///< generator: an engine's failure is taken for the end of the answer
};

} // namespace virga
