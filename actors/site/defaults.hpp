// actors/site/defaults.hpp: bounds of what passes between the nodes of a site.
#pragma once

#include <caf/timespan.hpp>

#include <chrono>

namespace virga::site_defaults {

/// CAF's heartbeat between nodes of a site, and the silence after which a node counts as lost.
inline constexpr caf::timespan heartbeat = std::chrono::seconds(1);
inline constexpr caf::timespan dead_after = std::chrono::seconds(2);

/// How long a connection, and then a greeting, may take; after it comes the next try.
inline constexpr caf::timespan connect_time = std::chrono::seconds(5);

/// How often overdue calls and kept sessions are looked at, while there are any.
inline constexpr caf::timespan tick = std::chrono::milliseconds(500);

/// How long the door's port may take to open at a node's start.
inline constexpr caf::timespan publish_time = std::chrono::seconds(5);

} // namespace virga::site_defaults
