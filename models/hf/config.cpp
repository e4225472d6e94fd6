#include "models/hf/config.hpp"

#include "models/defaults.hpp"
#include "models/hf/json.hpp"
#include "models/hf/rope_config.hpp"

#include <array>

namespace virga::models::hf {

namespace {

namespace limit = models::defaults;

/// What a family does when config.json is silent. Source: the configuration classes of transformers 5.23.
struct family {
  std::string_view model_type, architecture;
  std::uint32_t max_positions;
  std::uint32_t kv_heads;    ///< 0: as many as heads
  std::uint32_t head_dim;    ///< 0: hidden / heads
};

constexpr std::array families{
  family{"llama", "LlamaForCausalLM", 2048, 0, 0},
  family{"mistral", "MistralForCausalLM", 4096 * 32, 8, 0},
  family{"qwen2", "Qwen2ForCausalLM", 32768, 32, 0},
  family{"qwen3", "Qwen3ForCausalLM", 32768, 32, 128},
};

constexpr std::uint32_t default_window = 4096, default_window_layers = 28;

void refuse_unless(const fields& f, std::string_view key, bool fine, const std::string& what) {
  if (!fine)
    f.complain(key, what);
}

const family& find_family(const fields& f) {
  auto type = f.text("model_type");
  for (auto& known : families)
    if (known.model_type == type) {
      if (auto list = f.find("architectures"))
        refuse_unless(f, "architectures", *list == json::value{json::string_view(known.architecture)},
                      "a " + type + " model that can be run is [\"" + std::string(known.architecture) + "\"]");
      return known;
    }
  f.complain("model_type", "llama, mistral, qwen2 and qwen3 can be run");
}

/// What would change the numbers and cannot be run.
void check_extras(const fields& f) {
  refuse_unless(f, "hidden_act", f.text_or("hidden_act", "silu") == "silu", "only \"silu\" can be run");
}

/// quantization_config: that of `virga quantize`, or none.
std::optional<dtype> read_packing(const fields& f) {
  auto found = f.find("quantization_config");
  if (!found)
    return std::nullopt;
  if (!found->is_object() || fields(*found, f.where()).text_or("quant_method", "") != quantized_method)
    f.complain("quantization_config", "of quantised weights only those of `virga quantize` can be read; give the folder in BF16, F16 or F32");
  fields q(*found, f.where() + ": quantization_config");
  if (auto layout = q.whole("layout", 0, UINT32_MAX); layout != quantized_layout)
    q.complain("layout", "this version reads layout " + std::to_string(quantized_layout) + "; quantise the model again with it");
  auto name = q.text("dtype");
  for (auto t : {dtype::f32, dtype::bf16, dtype::int8, dtype::int4})
    if (name == to_string(t))
      return t;
  q.complain("dtype", "it must be f32, bf16, int8 or int4; quantise the model again");
}

void read_heads(const fields& f, const family& kind, model_config& c) {
  auto heads = c.num_attention_heads = static_cast<std::uint32_t>(f.whole("num_attention_heads", 1, limit::max_heads));
  auto silent = f.has("num_key_value_heads") || kind.kv_heads == 0 ? heads : kind.kv_heads;  // an explicit null: heads
  c.num_key_value_heads = static_cast<std::uint32_t>(f.whole_or("num_key_value_heads", 1, heads, silent));
  if (c.num_key_value_heads > heads || heads % c.num_key_value_heads != 0)
    fail(f.where(), "num_key_value_heads is " + std::to_string(c.num_key_value_heads)
                      + "; it must divide num_attention_heads, which is " + std::to_string(heads));
  if (!f.find("head_dim") && kind.head_dim == 0 && c.hidden_size % heads != 0)
    f.complain("num_attention_heads", "it must divide hidden_size, which is " + std::to_string(c.hidden_size)
                                        + ", or head_dim must be given");
  auto dim = kind.head_dim > 0 ? kind.head_dim : c.hidden_size / heads;
  c.head_dim = static_cast<std::uint32_t>(f.whole_or("head_dim", 1, limit::max_width, dim));
  if (c.head_dim % 2 != 0)
    fail(f.where(), "head_dim is " + std::to_string(c.head_dim) + "; it must be even");
}

void read_biases(const fields& f, const family& kind, model_config& c) {
  auto type = kind.model_type;
  bool all = type == "mistral" || type == "qwen2" ? false : f.flag_or("attention_bias", false);
  c.qkv_bias = type == "qwen2" || all;  // of Qwen2 no field says so
  c.o_bias = all;
  c.mlp_bias = type == "llama" && f.flag_or("mlp_bias", false);
  c.qk_norm = type == "qwen3";
}

/// Which layers slide, as Qwen's files say it: layer_types (version 5), else from max_window_layers on.
std::vector<bool> sliding_layers(const fields& f, std::uint32_t layers, bool windowed) {
  std::vector<bool> out(layers);
  if (auto list = f.find("layer_types")) {
    if (!list->is_array() || list->get_array().size() != layers)
      f.complain("layer_types", "it must be a list with one entry for each of the " + std::to_string(layers) + " layers");
    for (std::uint32_t i = 0; i < layers; ++i) {
      auto& kind = list->get_array()[i];
      out[i] = kind == json::value("sliding_attention");
      if (!out[i] && kind != json::value("full_attention"))
        f.complain("layer_types", "full_attention and sliding_attention can be run");
    }
    return out;
  }
  auto first = f.whole_or("max_window_layers", 0, limit::max_layers, default_window_layers);
  for (std::uint32_t i = 0; i < layers; ++i)
    out[i] = windowed && i >= first;
  return out;
}

std::uint32_t read_window(const fields& f) {
  if (f.has("sliding_window") && !f.find("sliding_window"))
    return 0;
  return static_cast<std::uint32_t>(f.whole_or("sliding_window", 1, limit::max_context, default_window));
}

void read_windows(const fields& f, const family& kind, model_config& c) {
  if (kind.model_type == "llama")
    return;
  if (kind.model_type == "mistral") {
    if (auto window = read_window(f); window > 0)
      c.windows.assign(c.num_hidden_layers, window);
    return;
  }
  auto window = f.flag_or("use_sliding_window", false) ? read_window(f) : 0;
  auto sliding = sliding_layers(f, c.num_hidden_layers, window > 0);
  for (std::uint32_t i = 0; i < c.num_hidden_layers; ++i) {
    if (sliding[i] && window == 0)
      fail(f.where(), "layer_types has sliding_attention, but use_sliding_window and sliding_window give no window");
    if (sliding[i] && c.windows.empty())
      c.windows.assign(c.num_hidden_layers, 0);
    if (sliding[i])
      c.windows[i] = window;
  }
}

} // namespace

model_config parse_config(std::string_view text, const std::string& where) {
  auto root = parse_strict(text, where);
  fields f(root, where);
  auto& kind = find_family(f);
  check_extras(f);
  auto packed = read_packing(f);
  auto number = [&f](std::string_view key, std::uint64_t high) {
    return static_cast<std::uint32_t>(f.whole(key, 1, high));
  };
  model_config c;
  c.model_type = kind.model_type;
  c.packed = packed;
  c.hidden_size = number("hidden_size", limit::max_width);
  c.intermediate_size = number("intermediate_size", limit::max_width);
  c.num_hidden_layers = number("num_hidden_layers", limit::max_layers);
  c.vocab_size = number("vocab_size", limit::max_vocab);
  c.max_position_embeddings =
    static_cast<std::uint32_t>(f.whole_or("max_position_embeddings", 1, limit::max_context, kind.max_positions));
  read_heads(f, kind, c);
  read_biases(f, kind, c);
  read_windows(f, kind, c);
  c.rms_norm_eps = f.number_or("rms_norm_eps", 1e-6);
  if (!(c.rms_norm_eps >= 0))
    f.complain("rms_norm_eps", "it must be 0 or more");
  read_rope(f, c);
  c.tie_word_embeddings = f.flag_or("tie_word_embeddings", false);
  return c;
}

model_config read_config(const std::filesystem::path& dir) {
  auto file = dir / "config.json";
  return parse_config(read_text(file), file.string());
}

} // namespace virga::models::hf
