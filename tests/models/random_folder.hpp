// A model folder of a random family with random options and weights, so that the property tests see combinations that no
// fixture has. The same seed gives the same folder.
#pragma once

#include "models/hf/config.hpp"
#include "models/hf/parts.hpp"
#include "tests/models/support.hpp"

#include <random>

namespace virga::models::test {

class random_folder {
public:
  explicit random_folder(std::uint64_t seed, std::uint64_t least_feed_forward = 20)
      : least_feed_forward_(least_feed_forward), random_(seed) {
    fs::create_directory(dir());
    write_file(dir() / "config.json", config_text());
    write_weights();
  }

  fs::path dir() const { return root_ / "model"; }
  const std::string& text() const { return text_; }

private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool maybe() { return below(2) == 1; }
  std::string pick(std::initializer_list<const char*> all) { return all.begin()[below(all.size())]; }

  std::string rope() {
    return pick({R"("rope_parameters": {"rope_type": "default", "rope_theta": 10000.0})",
                 R"("rope_theta": 500000.0, "rope_scaling": null)",
                 R"("rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 4.0})",
                 R"("rope_theta": 10000.0, "rope_scaling": {"rope_type": "dynamic", "factor": 2.0})",
                 R"("rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0,
                    "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64})",
                 R"("rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
                    "original_max_position_embeddings": 64})"});
  }

  std::string config_text() {
    auto kv_heads = 1 + below(3), heads = kv_heads * (1 + below(3)), dim = 2 * (2 + below(4));
    auto family = pick({"llama", "mistral", "qwen2", "qwen3"});
    auto number = [](const char* name, std::uint64_t n) { return std::string("\"") + name + "\": " + std::to_string(n) + ", "; };
    auto flag = [&](const char* name) { return std::string("\"") + name + "\": " + (maybe() ? "true, " : "false, "); };
    auto hidden = family == "qwen2" ? heads * dim : heads * (4 + below(6));
    text_ = "{\"model_type\": \"" + family + "\", " + number("hidden_size", hidden) + number("intermediate_size", least_feed_forward_ + below(40))
            + number("num_hidden_layers", 1 + below(4)) + number("num_attention_heads", heads)
            + number("num_key_value_heads", kv_heads) + number("head_dim", dim) + number("vocab_size", 40 + below(60))
            + number("max_position_embeddings", 512) + flag("tie_word_embeddings");
    if (family == "llama")
      text_ += flag("attention_bias") + flag("mlp_bias");
    if (family == "mistral")
      text_ += maybe() ? number("sliding_window", 1 + below(100)) : "\"sliding_window\": null, ";
    if (family.starts_with("qwen"))
      text_ += flag("use_sliding_window") + number("sliding_window", 1 + below(100)) + number("max_window_layers", below(3));
    if (family == "qwen3")
      text_ += flag("attention_bias");
    return text_ += rope() + "}\n";
  }

  void write_weights() {
    auto config = hf::read_config(dir());
    std::normal_distribution<float> noise;
    std::vector<std::vector<float>> values;
    std::vector<hf::tensor_view> tensors;
    for (auto& [name, shape] : hf::tensors_of(config, hf::whole_model(config))) {
      std::uint64_t count = 1;
      for (auto n : shape)
        count *= n;
      bool norm = name.find("norm") != std::string::npos;
      auto spread = shape.size() == 1 ? 0.2f : 1.2f / std::sqrt(static_cast<float>(shape.back()));
      auto& v = values.emplace_back(count);
      for (auto& x : v)
        x = noise(random_) * spread + (norm ? 1.f : 0.f);
      tensors.push_back({name, dtype::f32, shape, std::as_bytes(std::span(v))});
    }
    hf::write_safetensors(dir() / "model.safetensors", tensors);
  }

  std::uint64_t least_feed_forward_;
  std::mt19937_64 random_;
  scratch root_;
  std::string text_;
};

} // namespace virga::models::test
