#include "models/hf/config.hpp"

#include "models/defaults.hpp"
#include "models/hf/json.hpp"

#include <cstdio>

namespace virga::models::hf {

namespace {

namespace limit = models::defaults;

void refuse_unless(const fields& f, std::string_view key, bool fine, const std::string& what) {
  if (!fine)
    f.complain(key, what);
}

void check_architecture(const fields& f) {
  refuse_unless(f, "model_type", f.text("model_type") == "llama", "only \"llama\" can be run so far");
  if (auto list = f.find("architectures"))
    refuse_unless(f, "architectures", *list == json::value{"LlamaForCausalLM"},
                  "only [\"LlamaForCausalLM\"] can be run so far");
  refuse_unless(f, "hidden_act", f.text_or("hidden_act", "silu") == "silu", "only \"silu\" can be run so far");
}

/// What changes the numbers and cannot be run yet.
void check_extras(const fields& f) {
  for (auto key : {"attention_bias", "mlp_bias"})
    refuse_unless(f, key, !f.flag_or(key, false), "biases cannot be run so far");
  if (f.find("sliding_window"))
    refuse_unless(f, "sliding_window", !f.flag_or("use_sliding_window", true), "sliding windows cannot be run so far");
  if (auto types = f.find("layer_types"); types && types->is_array())
    for (auto& t : types->get_array())
      refuse_unless(f, "layer_types", t == json::value("full_attention"), "only full attention can be run so far");
  if (f.find("quantization_config"))
    f.complain("quantization_config", "quantised weights cannot be run so far");
}

/// Version 5 writes rope_parameters with theta inside, version 4 rope_theta and rope_scaling. The inner theta wins.
double read_rope_theta(const fields& f) {
  double theta = f.number_or("rope_theta", 10000);
  for (auto key : {"rope_parameters", "rope_scaling"})
    if (auto v = f.find(key)) {
      fields rope(*v, f.where() + ": " + key);
      for (auto kind : {"rope_type", "type"})
        refuse_unless(rope, kind, rope.text_or(kind, "default") == "default", "rope scaling cannot be run so far");
      refuse_unless(rope, "partial_rotary_factor", rope.number_or("partial_rotary_factor", 1) == 1,
                    "partial rotation cannot be run so far");
      theta = rope.number_or("rope_theta", theta);
    }
  if (!(theta > 0))
    fail(f.where(), "rope_theta is " + std::to_string(theta) + "; it must be above 0");
  return theta;
}

void read_heads(const fields& f, model_config& c) {
  auto heads = c.num_attention_heads = static_cast<std::uint32_t>(f.whole("num_attention_heads", 1, limit::max_heads));
  c.num_key_value_heads = static_cast<std::uint32_t>(f.whole_or("num_key_value_heads", 1, heads, heads));
  if (heads % c.num_key_value_heads != 0)
    f.complain("num_key_value_heads", "it must divide num_attention_heads, which is " + std::to_string(heads));
  if (!f.find("head_dim") && c.hidden_size % heads != 0)
    f.complain("num_attention_heads", "it must divide hidden_size, which is " + std::to_string(c.hidden_size)
                                        + ", or head_dim must be given");
  c.head_dim = static_cast<std::uint32_t>(f.whole_or("head_dim", 1, limit::max_width, c.hidden_size / heads));
  if (c.head_dim % 2 != 0)
    fail(f.where(), "head_dim is " + std::to_string(c.head_dim) + "; it must be even");
}

std::vector<token_id> token_list(const fields& f, std::string_view key, std::uint32_t vocab) {
  std::vector<token_id> out;
  auto v = f.find(key);
  if (!v)
    return out;
  auto add = [&](const json::value& id) {
    out.push_back(static_cast<token_id>(whole_number(id, f.where() + ": " + std::string(key), 0, vocab - 1)));
  };
  if (v->is_array())
    for (auto& id : v->get_array())
      add(id);
  else
    add(*v);
  return out;
}

void read_special(const fields& f, std::uint32_t vocab, generation_defaults& g) {
  if (auto eos = token_list(f, "eos_token_id", vocab); !eos.empty())
    g.eos = eos;
  if (auto bos = token_list(f, "bos_token_id", vocab); !bos.empty())
    g.bos = bos.front();
}

json::value read_json(const std::filesystem::path& file) { return parse_strict(read_text(file), file.string()); }

} // namespace

model_config read_config(const std::filesystem::path& dir) {
  auto file = dir / "config.json";
  auto root = read_json(file);
  fields f(root, file.string());
  check_architecture(f);
  check_extras(f);
  auto number = [&f](std::string_view key, std::uint64_t high) {
    return static_cast<std::uint32_t>(f.whole(key, 1, high));
  };
  model_config c;
  c.model_type = "llama";
  c.hidden_size = number("hidden_size", limit::max_width);
  c.intermediate_size = number("intermediate_size", limit::max_width);
  c.num_hidden_layers = number("num_hidden_layers", limit::max_layers);
  c.vocab_size = number("vocab_size", limit::max_vocab);
  c.max_position_embeddings =
    static_cast<std::uint32_t>(f.whole_or("max_position_embeddings", 1, limit::max_context, 2048));
  read_heads(f, c);
  c.rms_norm_eps = f.number_or("rms_norm_eps", 1e-6);
  if (!(c.rms_norm_eps >= 0))
    f.complain("rms_norm_eps", "it must be 0 or more");
  c.rope_theta = read_rope_theta(f);
  c.tie_word_embeddings = f.flag_or("tie_word_embeddings", false);
  return c;
}

generation_defaults read_generation(const std::filesystem::path& dir, std::uint32_t vocab_size) {
  generation_defaults g;
  auto config = read_json(dir / "config.json");
  read_special(fields(config, (dir / "config.json").string()), vocab_size, g);
  auto file = dir / "generation_config.json";
  if (!std::filesystem::exists(file))
    return g;
  auto root = read_json(file);
  fields f(root, file.string());
  read_special(f, vocab_size, g);
  g.do_sample = f.flag_or("do_sample", false);
  g.temperature = f.number_or("temperature", 1);
  if (g.temperature < 0)
    f.complain("temperature", "it must be 0 or more");
  return g;
}

std::optional<std::string> read_chat_template(const std::filesystem::path& dir) {
  if (auto jinja = dir / "chat_template.jinja"; std::filesystem::exists(jinja))
    return read_text(jinja);
  auto file = dir / "tokenizer_config.json";
  if (!std::filesystem::exists(file))
    return std::nullopt;
  auto root = read_json(file);
  fields f(root, file.string());
  if (!f.find("chat_template"))
    return std::nullopt;
  return f.text("chat_template");
}

std::string canonical_text(const model_config& c) {
  char reals[80];
  std::snprintf(reals, sizeof reals, " eps %.17g theta %.17g", c.rms_norm_eps, c.rope_theta);
  auto n = [](const char* name, std::uint32_t v) { return std::string(" ") + name + " " + std::to_string(v); };
  return c.model_type + n("hidden", c.hidden_size) + n("intermediate", c.intermediate_size)
         + n("layers", c.num_hidden_layers) + n("heads", c.num_attention_heads) + n("kv_heads", c.num_key_value_heads)
         + n("head_dim", c.head_dim) + n("vocab", c.vocab_size) + reals + (c.tie_word_embeddings ? " tied" : " untied");
}

} // namespace virga::models::hf
