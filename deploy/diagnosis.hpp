// deploy/diagnosis.hpp: why is a deployment slow? Judges what its nodes tell; no sockets.
#pragma once

#include <boost/json/value.hpp>

#include <string>
#include <vector>

namespace virga::deploy {

/// Where the time of one strategy's requests went, and what that means.
struct strategy_diagnosis {
  std::string node, strategy;
  std::size_t requests = 0;
  double total_ms = 0;                                          ///< of a request, on average
  double compute_ms = 0, link_ms = 0, queue_ms = 0, rest_ms = 0;  ///< of these; `rest` is HTTP, text and hops inside nodes
  std::string slowest;                                          ///< compute, link, queue or software
  std::string advice;                                           ///< one sentence
};

struct diagnosis {
  std::vector<strategy_diagnosis> strategies;
  std::vector<std::string> findings;  ///< what is wrong beside that, one sentence each: full queues, lost nodes, crashes
};

/// Adds one node. @param status of GET /status @param recent of GET /requests; both of the gateway that clients ask, if there is one
void examine(const boost::json::value& status, const boost::json::value& recent, diagnosis& out);

} // namespace virga::deploy
