// deploy/manifest_role.hpp: the entry of one role in a manifest. See docs/manifest.md for its keys.
#pragma once

#include "deploy/manifest.hpp"
#include "deploy/yaml_map.hpp"

namespace virga::deploy {

/// @param kind of the role's node. What is wrong is added to `found`, with the place and the cure; what stands in the result
/// for it is a default.
role_entry read_role(const YAML::Node& yaml, node_kind kind, problems& found);

} // namespace virga::deploy
