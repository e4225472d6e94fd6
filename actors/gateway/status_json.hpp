// actors/gateway/status_json.hpp: the node's status for /status and /health/ready, and what it means for a strategy.
#pragma once

#include "actors/gateway/exchange.hpp"
#include "actors/interfaces.hpp"

#include <deque>
#include <optional>
#include <string>

namespace virga {

/// What the gateway itself counts; the rest of /status is the node's.
struct gateway_counts {
  std::uint32_t answering = 0;       ///< requests now
  std::uint32_t answering_limit = 0;
  std::uint64_t requests = 0;        ///< taken since the start
  std::uint64_t tokens = 0;          ///< that reached clients
  std::uint64_t refused_full = 0;    ///< answered 429 because of the limit
  std::uint64_t gone = 0;            ///< clients that left before the end
  std::uint64_t late_answers = 0;    ///< for requests already over; dropped
};

/// A request that has ended, for people who look.
struct recent_request {
  std::string request_id;
  strategy how = strategy::cloud;
  std::int64_t ended = 0;  ///< Unix time in s
  exchange_end end;
};

/// {"recent": [...]}, newest first.
std::string requests_json(const std::deque<recent_request>& recent);

/// The whole status as one JSON object.
std::string status_json(const node_status& s, const gateway_counts& counts);

/// {"ready", "reason", "strategies"}.
std::string ready_json(const node_status& s);

/// Why something that this node serves at other times may be missing now, in one sentence; nothing when all is well, so
/// that a strategy that is not served never will be.
std::optional<std::string> why_missing(const node_status& s);

} // namespace virga
