// tests/sim/sim_strategy.hpp: what a strategy brings to the simulated deployment. One file in strategies/ each, which registers
// itself: requests, faults, the checker and the liveness check take it from there.
#pragma once

#include "actors/node/config.hpp"
#include "tests/sim/sim_models.hpp"

#include <functional>
#include <string>
#include <vector>

namespace virga::testing {

struct sim_strategy {
  strategy how = strategy::cloud;
  bool crosses_link = true;  ///< what breaks the link or the cloud strikes it
  /// Adds its engines and roles.
  std::function<void(const sim_models&, node_config&)> at_cloud, at_edge;
  /// The fault-free answer, without the stop token.
  std::function<std::vector<token_id>(const sim_models&, const request_record&)> expected;
};

/// All that are registered, in the order of their values.
const std::vector<sim_strategy>& sim_strategies();
const sim_strategy& find_strategy(strategy how);

/// At namespace scope of a strategy's file.
struct register_strategy {
  explicit register_strategy(sim_strategy s);
};

/// The names, as a node has them ("engine whole", "verifier split"), of what a strategy adds.
std::vector<std::string> parts_of(const sim_strategy& s, const sim_models& models, bool cloud);

// -- for those files ---------------------------------------------------------------------------------------------------

/// An engine on the reference shard whose steps take virtual time.
engine_config sim_engine(const std::string& name, std::shared_ptr<const models::hf::model_folder> folder,
                         std::vector<models::stage> stages);

/// A role that serves `how` with this engine.
role_config sim_role(const sim_models& models, role kind, strategy how, const std::string& engine,
                     const models::hf::model_folder& folder);

} // namespace virga::testing
