// actors/gateway/status_metrics.hpp: the node's status as metric families: engines, roles, mailboxes, links. Private to
// metrics.cpp.
#pragma once

#include "actors/gateway/status_json.hpp"

#include <prometheus/metric_family.h>

#include <vector>

namespace virga {

std::vector<prometheus::MetricFamily> status_metrics(const node_status& s, const gateway_counts& counts);

} // namespace virga
