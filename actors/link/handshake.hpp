// actors/link/handshake.hpp: does the peer's hello fit what this side expects? A sentence names both values if not.
#pragma once

#include "messages/types.hpp"

#include <optional>
#include <string>

namespace virga {

/// What this side is and whom it expects.
struct handshake {
  hello own;
  std::string peer_site;  ///< of the manifest
  std::string peer_node;
};

/// Compares version, names and, where both sides share a model, digest, layers, hidden size and wire dtype.
/// @param certificate_name the node name that the peer's certificate proved
/// @returns why the peer is refused, one sentence; nothing when it fits
std::optional<std::string> refusal(const handshake& expected, const hello& peer, const std::string& certificate_name);

} // namespace virga
