#include "models/hf/stored.hpp"

#include "models/hf/json.hpp"
#include "models/hf/parts.hpp"
#include "models/kernels/packed.hpp"

#include <algorithm>

namespace virga::models::hf {

namespace {

/// Products over the same rows.
struct group {
  std::string_view name;
  std::vector<std::string_view> parts;
};

const group groups[] = {{"self_attn.qkv_proj", {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}},
                        {"self_attn.o_proj", {"self_attn.o_proj"}},
                        {"mlp.gate_up_proj", {"mlp.gate_proj", "mlp.up_proj"}},
                        {"mlp.down_proj", {"mlp.down_proj"}}};

/// Takes the parts out of `left`.
void join(const std::string& name, const std::vector<std::string>& parts, shape_list& left,
          std::vector<stored_tensor>& out) {
  if (!left.contains(parts.front()))
    return;
  stored_tensor t{name, parts, left.at(parts.front())};
  t.shape.front() = 0;
  for (auto& p : parts) {
    t.shape.front() += left.at(p).front();
    left.erase(p);
  }
  out.push_back(std::move(t));
}

void add_layer(const model_config& c, std::uint32_t index, std::vector<stored_tensor>& out) {
  auto left = tensors_of(c, {{stage_kind::layers, index, index + 1}});
  const auto prefix = "model.layers." + std::to_string(index) + ".";
  for (auto& g : groups)
    for (auto end : {".weight", ".bias"}) {
      std::vector<std::string> parts;
      for (auto p : g.parts)
        parts.push_back(prefix + std::string(p) + end);
      join(prefix + std::string(g.name) + end, parts, left, out);
    }
  while (!left.empty())
    join(left.begin()->first, {left.begin()->first}, left, out);
}

} // namespace

std::vector<stored_tensor> stored_tensors(const model_config& c, const std::vector<stage>& stages) {
  std::vector<stored_tensor> out;
  const bool shared = c.tie_word_embeddings && stages.back().kind == stage_kind::head;
  for (auto& s : stages)
    if (s.kind == stage_kind::layers)
      for (auto i = s.first; i < s.last; ++i)
        add_layer(c, i, out);
    else if (s.kind == stage_kind::head || !shared)
      for (auto& [name, shape] : tensors_of(c, {s}))
        out.push_back({name, {name}, shape});
  std::stable_partition(out.begin(), out.end(), [](const stored_tensor& t) { return t.matrix(); });
  return out;
}

std::string stored_name(const std::vector<std::string>& parts) {
  for (auto& g : groups)
    if (g.parts.size() == parts.size() && parts.front().ends_with(g.parts.front()))
      return parts.front().substr(0, parts.front().size() - g.parts.front().size()) + std::string(g.name);
  return parts.front();
}

std::vector<std::string> names_in_files(const model_config& c, const std::vector<stage>& stages) {
  std::vector<std::string> out;
  if (c.packed)
    for (auto& t : stored_tensors(c, stages))
      out.push_back(t.name);
  else
    for (auto& [name, shape] : tensors_of(c, stages))
      out.push_back(name);
  return out;
}

void check_stored(const stored_tensor& needed, const stored_entry& said, dtype packed, tensor_view& held,
                  const std::string& where) {
  auto complain = [&](const std::string& what) {
    fail(where, "the tensor " + in_quotes(needed.name) + " " + what + "; quantise the model again");
  };
  if (std::ranges::any_of(needed.shape, [](auto n) { return n > UINT32_MAX; }))
    complain("has the shape " + shape_text(needed.shape) + " by config.json, more than can be packed");
  if (said.shape != needed.shape)
    complain("has the shape " + shape_text(said.shape) + " in virga.json, config.json asks for "
             + shape_text(needed.shape));
  if (held.packed != needed.matrix() || (!held.packed && held.type != dtype::f32))
    complain(needed.matrix() ? "is not in U8" : "is not in F32");
  if (!held.packed && held.shape != needed.shape)
    complain("has the shape " + shape_text(held.shape) + ", config.json asks for " + shape_text(needed.shape));
  if (!held.packed)
    return;
  const kernels::packed_shape shape{packed, static_cast<std::uint32_t>(needed.shape[0]),
                                    static_cast<std::uint32_t>(needed.shape[1])};
  if (held.data.size() != shape.bytes())
    complain("has " + std::to_string(held.data.size()) + " bytes; " + shape_text(needed.shape) + " in "
             + std::string(to_string(packed)) + " has " + std::to_string(shape.bytes()));
  held.type = packed;
  held.shape = needed.shape;
}

} // namespace virga::models::hf
