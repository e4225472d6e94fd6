// What stands beside config.json: generation_config.json and the chat template.
#include "models/hf/config.hpp"

#include "models/hf/json.hpp"

#include <cstdio>

namespace virga::models::hf {

namespace {

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

std::string canonical_text(const model_config& c) {
  auto real = [](const char* name, double v) {
    char text[64];
    std::snprintf(text, sizeof text, " %s %.17g", name, v);
    return std::string(text);
  };
  auto n = [](const char* name, std::uint32_t v) { return std::string(" ") + name + " " + std::to_string(v); };
  auto text = c.model_type + n("hidden", c.hidden_size) + n("intermediate", c.intermediate_size)
              + n("layers", c.num_hidden_layers) + n("heads", c.num_attention_heads) + n("kv_heads", c.num_key_value_heads)
              + n("head_dim", c.head_dim) + n("vocab", c.vocab_size) + real("eps", c.rms_norm_eps)
              + real("theta", c.rope_theta) + (c.tie_word_embeddings ? " tied" : " untied");
  if (auto& r = c.rope; r.type != rope_scaling::kind::none)
    text += n("rope", static_cast<std::uint32_t>(r.type)) + real("factor", r.factor) + real("low", r.low_freq_factor)
            + real("high", r.high_freq_factor) + real("original", r.original_max_position_embeddings)
            + real("fast", r.beta_fast) + real("slow", r.beta_slow) + real("attention", r.attention_factor)
            + (r.truncate ? "" : " untruncated");
  for (auto [name, on] : {std::pair("qkv_bias", c.qkv_bias), {"o_bias", c.o_bias}, {"mlp_bias", c.mlp_bias}, {"qk_norm", c.qk_norm}})
    text += on ? std::string(" ") + name : "";
  for (std::size_t i = 0; i < c.windows.size(); ++i)
    text += c.windows[i] > 0 ? " window " + std::to_string(i) + " " + std::to_string(c.windows[i]) : "";
  return text;
}

} // namespace virga::models::hf
