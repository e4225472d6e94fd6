#include "models/hf/rope_config.hpp"

#include <cmath>

namespace virga::models::hf {

namespace {

double positive(const fields& f, std::string_view key, double silent) {
  auto v = f.number_or(key, silent);
  if (!(v > 0))
    f.complain(key, "it must be above 0");
  return v;
}

double needed(const fields& f, std::string_view key) { return f.at(key), positive(f, key, 0); }

/// Source: YaRN (Peng et al. 2023), section 3.4, with the refinement of DeepSeek's folders (mscale).
double yarn_attention(const fields& f, double factor) {
  if (f.find("attention_factor"))
    return positive(f, "attention_factor", 1);
  auto scale = [factor](double m) { return factor <= 1 ? 1 : 0.1 * m * std::log(factor) + 1; };
  double mscale = f.number_or("mscale", 0), all = f.number_or("mscale_all_dim", 0);
  double value = mscale != 0 && all != 0 ? scale(mscale) / scale(all) : scale(1);
  if (!std::isfinite(value) || value <= 0)
    fail(f.where(), "mscale and mscale_all_dim give an attention factor of " + std::to_string(value)
                      + "; it must be above 0");
  return value;
}

double original_context(const fields& top, const fields& f, const model_config& c) {
  auto& from = top.find("original_max_position_embeddings") ? top : f;  // transformers: the outer one wins
  return static_cast<double>(
    from.whole_or("original_max_position_embeddings", 1, UINT32_MAX, c.max_position_embeddings));
}

void read_llama3(const fields& f, rope_scaling& r) {
  r.type = rope_scaling::kind::llama3;
  r.factor = needed(f, "factor");
  r.low_freq_factor = needed(f, "low_freq_factor");
  r.high_freq_factor = needed(f, "high_freq_factor");
  if (!(r.high_freq_factor > r.low_freq_factor))
    f.complain("high_freq_factor", "it must be above low_freq_factor, which is " + std::to_string(r.low_freq_factor));
}

void read_yarn(const fields& f, double theta, const model_config& c, rope_scaling& r) {
  r.type = rope_scaling::kind::yarn;
  r.factor = f.find("factor") || !f.has("factor") ? needed(f, "factor")
                                                  : c.max_position_embeddings / r.original_max_position_embeddings;
  auto or_default = [&f](std::string_view key, double v) {  // 0 means the default, as in transformers
    return f.number_or(key, 0) == 0 ? v : positive(f, key, v);
  };
  r.beta_fast = or_default("beta_fast", 32);
  r.beta_slow = or_default("beta_slow", 1);
  r.attention_factor = yarn_attention(f, r.factor);
  r.truncate = f.flag_or("truncate", true);
  if (theta == 1)
    fail(f.where(), "rope_theta is 1, which gives yarn no wavelengths; it must be above 0 and other than 1");
}

} // namespace

void read_rope(const fields& f, model_config& c) {
  auto v = f.find("rope_scaling") ? f.find("rope_scaling") : f.find("rope_parameters");
  c.rope_theta = positive(f, "rope_theta", 10000);
  if (f.number_or("partial_rotary_factor", 1) != 1)
    f.complain("partial_rotary_factor", "partial rotation cannot be run");
  if (!v)
    return;
  fields rope(*v, f.where() + ": " + (f.find("rope_scaling") ? "rope_scaling" : "rope_parameters"));
  c.rope_theta = positive(rope, "rope_theta", c.rope_theta);
  if (rope.number_or("partial_rotary_factor", 1) != 1)
    rope.complain("partial_rotary_factor", "partial rotation cannot be run");
  for (auto layers : {"full_attention", "sliding_attention"})
    if (rope.has(layers))
      fail(rope.where(), std::string(layers) + " has an object of its own; only one for all layers can be run");
  auto key = rope.find("rope_type") ? "rope_type" : "type";
  auto type = rope.text_or(key, "default");
  auto& r = c.rope;
  if (type == "llama3" || type == "yarn")
    r.original_max_position_embeddings = original_context(f, rope, c);
  if (type == "linear") {
    r.type = rope_scaling::kind::linear;
    r.factor = needed(rope, "factor");
  } else if (type == "llama3") {
    read_llama3(rope, r);
  } else if (type == "yarn") {
    read_yarn(rope, c.rope_theta, c, r);
  } else if (type == "dynamic") {
    needed(rope, "factor");
  } else if (type != "default") {
    rope.complain(key, "default, linear, dynamic, llama3 and yarn can be run");
  }
}

} // namespace virga::models::hf
