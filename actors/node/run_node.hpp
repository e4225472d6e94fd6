// actors/node/run_node.hpp: a node as a process: actor system, signals, exit code.
#pragma once

#include "actors/node/node.hpp"

#include <functional>

namespace virga {

/// Runs a node until it ends. The first SIGTERM or SIGINT drains it; after a second one it ends within two seconds,
/// whatever still runs.
///
/// Call it from main, before any other thread exists: the signals are blocked first and every later thread inherits
/// that. So sockets are opened in `make_parts`, called after; what its closures own outlives the actor system.
///
/// @returns the exit code: 0 when it ended because it was told to; 1 when it gave up or could not start, with the
/// sentence on stderr
int run_node(node_config config, const std::function<node_parts()>& make_parts);

} // namespace virga
