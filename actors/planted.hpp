// actors/planted.hpp: bugs that the simulation switches on to prove that its checker finds them. Never set by a manifest.
#pragma once

#include <cstdint>

namespace virga {

enum class planted_bug : std::uint8_t {
  none,
  lost_truncate,       ///< engine: a retry from an earlier position is appended to the cache it should have rolled back
  accepted_duplicate,  ///< link and relay: what comes twice is taken twice
  swallowed_error,     ///< generator: an engine's failure is taken for the end of the answer
  forgotten_answer,    ///< session: another placement begins behind the prompt, not behind what was told
  second_end,          ///< session: it goes on after it has told its end
  lost_pending,        ///< stub: who waits for an instance that died is not told
  single_dial,         ///< link: a dial that failed is not tried again
  untold_roles,        ///< link: roles that change between the two hellos are not told
  dropped_stray,       ///< link: a message out of turn is dropped, and the connection goes on without what it overtook
  kept_placement,      ///< stub: the sessions of a lost replica stay with it
  leaked_sequences,    ///< node: an engine keeps what a dead role had opened
};

} // namespace virga
