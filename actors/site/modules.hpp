// actors/site/modules.hpp: CAF's middleman and its TLS module, for nodes that have neighbours.
#pragma once

#include "actors/node/config.hpp"

#include <caf/fwd.hpp>
#include <caf/io/middleman_actor.hpp>

namespace virga {

/// Adds both to a system that is not made yet, with heartbeats, and with this identity on both sides of every connection: a peer
/// without a certificate of the same CA is not let in, and nothing is without TLS.
/// @throws std::runtime_error naming the file of `own` that cannot be read; CAF itself would end the process, later
void load_site_modules(caf::actor_system_config& config, const tls_config& own);

/// Whom to ask for publication and connection. Only in a system that was made with the modules.
caf::io::middleman_actor site_middleman(caf::actor_system& system);

} // namespace virga
