#include "deploy/bench/random_model.hpp"

#include "models/hf/config.hpp"
#include "models/hf/parts.hpp"
#include "models/small_floats.hpp"
#include "models/world/random.hpp"

#include <boost/json.hpp>

#include <cmath>
#include <cstdlib>
#include <fstream>

namespace virga::deploy {
namespace {

namespace fs = std::filesystem;

constexpr auto config_text = R"({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
"num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 32768,
"rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "tie_word_embeddings": true, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2}
)";

} // namespace

fs::path bench_cache() {
  const auto* cache = std::getenv("XDG_CACHE_HOME");
  const auto* home = std::getenv("HOME");
  return (cache != nullptr ? fs::path(cache) : fs::path(home != nullptr ? home : "/tmp") / ".cache") / "virga" / "bench";
}

namespace {

/// That of `words`, with a word for every other token too: a token without text would not be seen to come.
void write_tokenizer(const fs::path& words, const fs::path& dir, std::uint32_t vocab_size) {
  std::ifstream in(words / "tokenizer.json");
  auto root = boost::json::parse(std::string(std::istreambuf_iterator<char>(in), {}));
  auto& vocab = root.at("model").at("vocab").as_object();
  for (auto id = static_cast<std::uint32_t>(vocab.size()); id < vocab_size; ++id)
    vocab["t" + std::to_string(id)] = id;
  std::ofstream(dir / "tokenizer.json") << boost::json::serialize(root);
}

/// Uniform, with the deviation of a trained layer's.
std::vector<std::uint16_t> noise(std::uint64_t count, double spread, double middle, models::world::random_source& random) {
  std::vector<std::uint16_t> out(count);
  for (auto& x : out)
    x = models::to_bf16(static_cast<float>(middle + spread * std::sqrt(3.0) * (2 * random.uniform() - 1)));
  return out;
}

} // namespace

fs::path half_billion_shape(const fs::path& words, const std::function<void(const std::string&)>& say) {
  const auto dir = bench_cache() / "qwen2-0.5b-shape";
  if (fs::exists(dir / "model.safetensors"))
    return dir;
  say("making " + dir.string());
  fs::create_directories(dir);
  std::ofstream(dir / "config.json") << config_text;
  for (const auto* name : {"tokenizer_config.json", "special_tokens_map.json", "generation_config.json"})
    fs::copy_file(words / name, dir / name, fs::copy_options::overwrite_existing);
  const auto config = models::hf::read_config(dir);
  write_tokenizer(words, dir, config.vocab_size);
  models::world::random_source random(1);
  std::vector<std::vector<std::uint16_t>> values;
  std::vector<models::hf::tensor_view> tensors;
  for (const auto& [name, shape] : models::hf::tensors_of(config, models::hf::whole_model(config))) {
    const bool matrix = shape.size() == 2, norm = name.find("norm") != std::string::npos;
    const auto& v = values.emplace_back(noise(matrix ? shape[0] * shape[1] : shape[0], matrix ? 0.02 : 0, norm ? 1 : 0, random));
    tensors.push_back({name, dtype::bf16, shape, std::as_bytes(std::span(v))});
  }
  models::hf::write_safetensors(dir / "model.safetensors", tensors);
  return dir;
}

} // namespace virga::deploy
