// actors/node/defaults.hpp: the node's fixed bounds. Those a deployment may choose stand in node_config.
#pragma once

#include <caf/timespan.hpp>

#include <chrono>

namespace virga::node_defaults {

/// How long a status report waits for an engine in the middle of a step; then it shows the engine's last numbers.
inline constexpr caf::timespan stats_patience = std::chrono::milliseconds(300);

/// How long the node waits for an engine to load its shard before it asks again; loading itself has no bound.
inline constexpr caf::timespan load_patience = std::chrono::seconds(10);

/// How often a draining node looks whether its sessions are gone.
inline constexpr caf::timespan drain_tick = std::chrono::milliseconds(100);

/// How long actors that end together may take (a gateway takes 2 s at most, an engine one step); then the rest ends.
inline constexpr caf::timespan end_patience = std::chrono::seconds(5);

/// Threads of CAF's scheduler. Roles only pass messages; engines, links' sockets and gateways have their own threads.
inline constexpr std::size_t scheduler_threads = 2;

/// How long a second signal leaves the node to end in order; then the process ends as it is.
inline constexpr std::chrono::seconds hurry{2};

} // namespace virga::node_defaults
