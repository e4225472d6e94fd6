#include "tests/sim/sim_strategy.hpp"

namespace virga::testing {

using models::stage_kind;

static const register_strategy split{{
  strategy::split, true,
  [](const sim_models& m, node_config& c) {
    c.engines.push_back(sim_engine("middle", m.cloud, {{stage_kind::layers, sim_models::cut, m.cloud->config().num_hidden_layers}}));
    c.roles.push_back(sim_role(m, role::verifier, strategy::split, "middle", *m.cloud));
  },
  [](const sim_models& m, node_config& c) {
    c.engines.push_back(sim_engine("device", m.cloud, {{stage_kind::embedding}, {stage_kind::layers, 0, sim_models::cut}, {stage_kind::head}}));
    c.roles.push_back(sim_role(m, role::drafter, strategy::split, "device", *m.cloud));
  },
  [](const sim_models& m, const request_record& r) { return m.greedy(*m.cloud, r.prompt, r.max_tokens); },
}};

} // namespace virga::testing
