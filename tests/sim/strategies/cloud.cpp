#include "tests/sim/sim_strategy.hpp"

namespace virga::testing {

static const register_strategy cloud{{
  strategy::cloud, true,
  [](const sim_models& m, node_config& c) {
    c.engines.push_back(sim_engine("whole", m.cloud, {}));
    c.roles.push_back(sim_role(m, role::generator, strategy::cloud, "whole", *m.cloud));
  },
  [](const sim_models&, node_config&) {},
  [](const sim_models& m, const request_record& r) { return m.greedy(*m.cloud, r.prompt, r.max_tokens); },
}};

} // namespace virga::testing
