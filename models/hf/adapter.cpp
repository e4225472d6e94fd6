#include "models/hf/adapter.hpp"

#include "models/hf/json.hpp"
#include "models/hf/parts.hpp"

#include <fstream>

namespace virga::models::hf {

namespace {

constexpr auto config_name = "adapter_config.json";
constexpr auto weights_name = "adapter_model.safetensors";

adapter_config read_adapter_config(const std::filesystem::path& dir) {
  if (!std::filesystem::is_directory(dir))
    fail(dir.string(), "is no folder; give the folder that `virga train adapter` wrote");
  auto file = dir / config_name;
  auto root = parse_strict(read_text(file), file.string());
  fields f(root, file.string());
  f.whole("format", 1, 1);
  auto layers = f.whole("num_hidden_layers", 2, UINT32_MAX);
  return {f.text("model_digest"), static_cast<std::uint32_t>(f.whole("split", 1, layers - 1))};
}

} // namespace

shape_list adapter_tensors(const model_config& c) {
  std::uint64_t h = c.hidden_size, q = std::uint64_t{c.num_attention_heads} * c.head_dim,
                kv = std::uint64_t{c.num_key_value_heads} * c.head_dim;
  return {{"input_layernorm.weight", {h}},         {"self_attn.q_proj.weight", {q, h}}, {"self_attn.k_proj.weight", {kv, h}},
          {"self_attn.v_proj.weight", {kv, h}}, {"self_attn.o_proj.weight", {h, q}}, {"norm.weight", {h}}};
}

adapter_folder::adapter_folder(std::filesystem::path dir)
    : dir_(std::move(dir)), config_(read_adapter_config(dir_)), weights_(dir_ / weights_name) {}

void adapter_folder::check(const model_folder& base) const {
  auto where = (dir_ / weights_name).string();
  if (config_.model_digest != base.digest())
    fail((dir_ / config_name).string(), "the adapter was trained for the model " + in_quotes(config_.model_digest) + ", not for "
                                          + base.dir().string() + ", which is " + in_quotes(base.digest())
                                          + "; train one with `virga train adapter`");
  if (config_.split >= base.config().num_hidden_layers)
    fail((dir_ / config_name).string(), "the adapter stands behind " + std::to_string(config_.split) + " layers, the model has "
                                          + std::to_string(base.config().num_hidden_layers));
  auto needed = adapter_tensors(base.config());
  for (auto& [name, shape] : needed)
    if (weight(name).shape != shape)
      fail(where, "the tensor " + in_quotes(name) + " has another shape than the model's config.json asks for; train the adapter again");
  for (auto& [name, tensor] : weights_.tensors()) {
    if (!needed.contains(name))
      fail(where, "the tensor " + in_quotes(name) + " has no place in an adapter");
    hash_finite(tensor, where, [](std::uint64_t) {});
  }
}

const tensor_view& adapter_folder::weight(const std::string& name) const {
  if (auto it = weights_.tensors().find(name); it != weights_.tensors().end())
    return it->second;
  fail((dir_ / weights_name).string(), "the tensor " + in_quotes(name) + " is missing; copy the folder again");
}

void write_adapter(const std::filesystem::path& dir, const adapter_config& config, std::uint32_t model_layers,
                   std::span<const tensor_view> tensors) {
  std::filesystem::create_directories(dir);
  write_safetensors(dir / weights_name, tensors);
  json::object root{{"format", 1}, {"model_digest", config.model_digest}, {"split", config.split},
                    {"num_hidden_layers", model_layers}};
  std::ofstream out(dir / config_name);
  out << json::serialize(root) << '\n';
  out.close();
  if (!out)
    throw std::runtime_error((dir / config_name).string() + ": cannot be written; is the disk full?");
}

} // namespace virga::models::hf
