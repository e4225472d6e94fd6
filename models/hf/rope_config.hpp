// models/hf/rope_config.hpp: the rotary part of config.json. Private to models/hf.
#pragma once

#include "models/hf/folder.hpp"
#include "models/hf/json.hpp"

namespace virga::models::hf {

/// Fills rope_theta and rope from rope_parameters (version 5), or rope_theta and rope_scaling (version 4), which replaces
/// rope_parameters; a theta inside the object beats the one outside. "dynamic" has an effect beyond
/// max_position_embeddings only, where no context reaches, so it is read as none. @throws bad_model for other types, for
/// partial rotation, and for numbers that make no angles
void read_rope(const fields& f, model_config& c);

} // namespace virga::models::hf
