// models/hf/stored.hpp: which tensors the files of a folder hold, of a quantised one as well: there matrices that read
// the same rows stand as one. Private to models/.
#pragma once

#include "models/hf/folder.hpp"

namespace virga::models::hf {

/// What one tensor of a quantised folder is made of.
struct stored_tensor {
  std::string name;
  std::vector<std::string> parts;    ///< tensors of the model, one below the other
  std::vector<std::uint64_t> shape;  ///< [outputs, inputs], packed; or [n], in f32

  bool matrix() const { return shape.size() == 2; }
};

/// Of a quantised folder: all matrices in the order in which a token passes them, a tied head's where the head is (of the
/// embedding it needs a row); then all vectors, which would move matrices off their cache lines.
std::vector<stored_tensor> stored_tensors(const model_config& c, const std::vector<stage>& stages);

/// Under which name these stand in a quantised folder: "...self_attn.q_proj", k_proj, v_proj as "...self_attn.qkv_proj"
std::string stored_name(const std::vector<std::string>& parts);

/// Names of what the files must hold for these stages, of whatever kind of folder.
std::vector<std::string> names_in_files(const model_config& c, const std::vector<stage>& stages);

/// The tensor's bytes must be what virga.json and config.json say. Then they say what it is.
/// @throws bad_model("WHERE: ...")
void check_stored(const stored_tensor& needed, const stored_entry& said, dtype packed, tensor_view& held,
                  const std::string& where);

} // namespace virga::models::hf
