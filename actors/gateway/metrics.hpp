// actors/gateway/metrics.hpp: what a gateway counts, as Prometheus reads it. Names are vLLM's where the meaning is
// (docs/metrics.md), so that its dashboards show a virga deployment. Lives on the HTTP thread.
#pragma once

#include "actors/gateway/exchange.hpp"
#include "actors/gateway/status_json.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace virga {

class metrics {
public:
  metrics();
  ~metrics();

  /// A request was answered with an error before a session began. @param code as the client got it
  void refused(std::string_view code);
  /// Tokens reached a client.
  void generated(strategy how, std::uint64_t tokens);
  /// A token came so long after the one before it.
  void gap(strategy how, double ms);
  void ended(strategy how, const exchange_end& end);

  /// Everything counted here, and the node's status as it is now, in Prometheus' text format.
  std::string text(const node_status& s, const gateway_counts& counts) const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace virga
