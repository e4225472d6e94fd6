#include "tests/sim/sim_strategy.hpp"

#include <algorithm>

namespace virga::testing {

using models::stage_kind;

/// The device drafts with the model but one of its layers: some drafts stand, some fall.
static const register_strategy hat{{
  strategy::hat, true,
  [](const sim_models& m, node_config& c) {
    if (std::ranges::any_of(c.roles, [](auto& r) { return r.kind == role::verifier; }))
      return;  // that of `split` answers both
    c.engines.push_back(sim_engine("middle", m.cloud, {{stage_kind::layers, sim_models::cut, m.cloud->config().num_hidden_layers}}));
    c.roles.push_back(sim_role(m, role::verifier, strategy::split, "middle", *m.cloud));
  },
  [](const sim_models& m, node_config& c) {
    c.engines.push_back(sim_engine("hat", m.cloud, {{stage_kind::embedding}, {stage_kind::layers, 0, sim_models::cut},
                                                    {stage_kind::layers, 2, m.cloud->config().num_hidden_layers}, {stage_kind::head}}));
    auto r = sim_role(m, role::drafter, strategy::hat, "hat", *m.cloud);
    r.stage_count = 4;
    r.input_stages = 2;
    r.draft = {.most = 4, .unsure_below = 0.02, .chunk_rows = 2, .chunks_in_flight = 2};
    c.roles.push_back(std::move(r));
  },
  [](const sim_models& m, const request_record& r) { return m.greedy(*m.cloud, r.prompt, r.max_tokens); },
}};

} // namespace virga::testing
