// config.json of every family: defaults, spellings, and what is refused.
#include "models/hf/config.hpp"
#include "tests/models/support.hpp"
#include "tests/support/catch.hpp"

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;
using Catch::Matchers::Contains;
using kind = hf::rope_scaling::kind;

namespace {

/// A config with these members beside the shape.
hf::model_config config(const std::string& family, const std::string& more = "") {
  return hf::parse_config(R"({"model_type": ")" + family + R"(", "hidden_size": 256, "intermediate_size": 64, "num_hidden_layers": 4,
    "num_attention_heads": 32, "vocab_size": 100)" + (more.empty() ? "" : ", " + more) + "}", "config.json");
}

std::string refusal(const std::string& family, const std::string& more) {
  auto said = complaint([&] { config(family, more); });
  CHECK_THAT(said, Contains("config.json: ") && !Contains("\n"));
  return said;
}

} // namespace

TEST_CASE("absent fields have the defaults of each family's class", "[models][config]") {
  auto llama = config("llama"), mistral = config("mistral"), qwen2 = config("qwen2"), qwen3 = config("qwen3");
  CHECK(llama.num_key_value_heads == 32);
  CHECK(mistral.num_key_value_heads == 8);
  CHECK(config("mistral", R"("num_key_value_heads": null)").num_key_value_heads == 32);
  CHECK(qwen2.num_key_value_heads == 32);
  CHECK(llama.head_dim == 8);
  CHECK(qwen3.head_dim == 128);
  CHECK(llama.max_position_embeddings == 2048);
  CHECK(mistral.max_position_embeddings == 131072);
  CHECK(qwen2.max_position_embeddings == 32768);
  CHECK(mistral.windows == std::vector<std::uint32_t>(4, 4096));
  CHECK(config("mistral", R"("sliding_window": null)").windows.empty());
  CHECK(qwen2.windows.empty());
  for (auto& c : {llama, mistral, qwen2, qwen3}) {
    CHECK(c.rope_theta == 10000);
    CHECK(c.rope.type == kind::none);
    CHECK_FALSE(c.tie_word_embeddings);
    CHECK(c.qkv_bias == (c.model_type == "qwen2"));
    CHECK(c.qk_norm == (c.model_type == "qwen3"));
    CHECK_FALSE(c.o_bias);
    CHECK_FALSE(c.mlp_bias);
  }
}

TEST_CASE("biases go where the family has them", "[models][config]") {
  auto all = R"("attention_bias": true, "mlp_bias": true)";
  CHECK((config("llama", all).o_bias && config("llama", all).qkv_bias && config("llama", all).mlp_bias));
  CHECK((config("qwen3", all).o_bias && config("qwen3", all).qkv_bias && !config("qwen3", all).mlp_bias));
  CHECK((config("qwen2", all).qkv_bias && !config("qwen2", all).o_bias));
  CHECK_FALSE(config("mistral", all).qkv_bias);
}

TEST_CASE("windows are per layer", "[models][config]") {
  using list = std::vector<std::uint32_t>;
  CHECK(config("qwen2", R"("use_sliding_window": true, "sliding_window": 9, "max_window_layers": 3)").windows == list{0, 0, 0, 9});
  CHECK(config("qwen2", R"("use_sliding_window": true, "sliding_window": 9, "max_window_layers": 28)").windows.empty());
  CHECK(config("qwen2", R"("use_sliding_window": false, "sliding_window": 9, "max_window_layers": 0)").windows.empty());
  auto types = R"("layer_types": ["full_attention", "sliding_attention", "full_attention", "full_attention"])";
  CHECK(config("qwen3", std::string(types) + R"(, "use_sliding_window": true, "sliding_window": 7, "max_window_layers": 0)").windows
        == list{0, 7, 0, 0});
  CHECK_THAT(refusal("qwen3", types), Contains("sliding_attention") && Contains("no window"));
  CHECK_THAT(refusal("qwen3", R"("layer_types": ["full_attention"])"), Contains("each of the 4 layers"));
  CHECK_THAT(refusal("qwen3", R"("layer_types": ["a", "a", "a", "a"])"), Contains("can be run"));
  CHECK_THAT(refusal("mistral", R"("sliding_window": 0)"), Contains("sliding_window"));
  CHECK_THAT(refusal("mistral", R"("sliding_window": -3)"), Contains("sliding_window"));
}

TEST_CASE("both spellings of rope scaling mean the same", "[models][config]") {
  auto old = config("llama", R"("rope_theta": 500000.0, "rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 1,
    "high_freq_factor": 4, "original_max_position_embeddings": 64})");
  auto now = config("llama", R"("rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8,
    "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64})");
  CHECK(old.rope.type == kind::llama3);
  CHECK(canonical_text(old) == canonical_text(now));
  CHECK(canonical_text(old) != canonical_text(config("llama", R"("rope_theta": 500000.0)")));
}

TEST_CASE("the inner theta wins, and the original context falls back to the context", "[models][config]") {
  auto c = config("qwen2", R"("rope_theta": 5.0, "max_position_embeddings": 512,
    "rope_parameters": {"rope_type": "yarn", "rope_theta": 7.0, "factor": 4})");
  CHECK(c.rope_theta == 7);
  CHECK(c.rope.original_max_position_embeddings == 512);
  CHECK(c.rope.attention_factor == Approx(0.1 * std::log(4.0) + 1));
  auto scaled = R"("rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_type": "default", "rope_theta": 3})";
  CHECK(config("llama", scaled).rope.type == kind::linear);
  CHECK(config("llama", R"("rope_scaling": {"type": "dynamic", "factor": 2})").rope.type == kind::none);
}

TEST_CASE("rope numbers that make no angles are refused", "[models][config]") {
  auto rope = [](const std::string& more) { return refusal("llama", "\"rope_parameters\": {" + more + "}"); };
  CHECK_THAT(rope(R"("rope_type": "linear")"), Contains("\"factor\" is missing"));
  CHECK_THAT(rope(R"("rope_type": "linear", "factor": 0)"), Contains("factor is 0"));
  CHECK_THAT(rope(R"("rope_type": "yarn", "factor": -1)"), Contains("factor is -1"));
  CHECK_THAT(rope(R"("rope_type": "yarn", "factor": 2, "rope_theta": 1)"), Contains("rope_theta is 1"));
  CHECK_THAT(rope(R"("rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4)"), Contains("high_freq_factor"));
  CHECK_THAT(rope(R"("rope_type": "yarn", "factor": 2, "original_max_position_embeddings": 0)"), Contains("original_max"));
  CHECK_THAT(rope(R"("rope_type": "su", "factor": 8)"), Contains("\"su\""));
  CHECK_THAT(rope(R"("rope_theta": 0)"), Contains("rope_theta"));
  CHECK_THAT(rope(R"("full_attention": {"rope_type": "default"})"), Contains("full_attention"));
  CHECK_THAT(refusal("qwen3", R"("rope_scaling": 4)"), Contains("must be a JSON object"));
}
