#include "tests/sim/sim_strategy.hpp"

namespace virga::testing {

static const register_strategy edge{{
  strategy::edge, false,
  [](const sim_models&, node_config&) {},
  [](const sim_models& m, node_config& c) {
    c.engines.push_back(sim_engine("small", m.edge, {}));
    c.roles.push_back(sim_role(m, role::generator, strategy::edge, "small", *m.edge));
  },
  [](const sim_models& m, const request_record& r) { return m.greedy(*m.edge, r.prompt, r.max_tokens); },
}};

} // namespace virga::testing
