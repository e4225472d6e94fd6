#include "models/hf/folder.hpp"
#include "tests/models/support.hpp"
#include "tests/support/catch.hpp"

#include <random>

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;
using Catch::Matchers::Contains;

namespace {

/// A copy of a fixture to be damaged.
struct copied {
  scratch root;
  fs::path dir;
  explicit copied(const std::string& name = "gqa-untied") : dir(root / "model") { fs::copy(fixture(name), dir); }
  void edit(const std::string& file, const std::string& from, const std::string& to) { edit_file(dir / file, from, to); }
  std::string complaint() const {
    auto said = test::complaint([&] { hf::model_folder{dir}; });
    CHECK_THAT(said, !Contains("\n"));
    return said;
  }
};

std::string after(const std::string& file, const std::string& from, const std::string& to,
                  const std::string& name = "gqa-untied") {
  copied c(name);
  c.edit(file, from, to);
  auto said = c.complaint();
  if (!said.empty())
    CHECK_THAT(said, Contains((c.dir / file).string()) || Contains("model.safetensors"));
  return said;
}

std::string config_after(const std::string& from, const std::string& to, const std::string& name = "gqa-untied") {
  return after("config.json", from, to, name);
}

} // namespace

TEST_CASE("a folder of transformers 5 is read", "[models][folder]") {
  hf::model_folder f(fixture("gqa-untied"));
  auto& c = f.config();
  CHECK(c.model_type == "llama");
  CHECK(c.hidden_size == 48);
  CHECK(c.intermediate_size == 72);
  CHECK(c.num_hidden_layers == 4);
  CHECK(c.num_attention_heads == 6);
  CHECK(c.num_key_value_heads == 2);
  CHECK(c.head_dim == 10);
  CHECK(c.vocab_size == 101);
  CHECK(c.max_position_embeddings == 512);
  CHECK(c.rms_norm_eps == 1e-5);
  CHECK(c.rope_theta == 500000);
  CHECK_FALSE(c.tie_word_embeddings);
  CHECK(f.generation().eos == std::vector<token_id>{2});
  CHECK(f.generation().bos == token_id{1});
  CHECK(describe(f.stages()) == "embedding, layers 0-3, head");
  CHECK(f.weight("lm_head.weight").shape == std::vector<std::uint64_t>{101, 48});
  CHECK_THROWS_AS(f.weight("model.layers.4.mlp.up_proj.weight"), bad_model);
  CHECK(f.digest().size() == 64);
  CHECK(f.hashes().size() == f.weights().size());
}

TEST_CASE("a folder in the spelling of transformers 4 is read", "[models][folder]") {
  hf::model_folder f(fixture("mha-tied"));
  CHECK(f.config().rope_theta == 10000);
  CHECK(f.config().tie_word_embeddings);
  CHECK(f.weight("model.embed_tokens.weight").type == dtype::bf16);
}

TEST_CASE("what an old config leaves out has its default", "[models][folder]") {
  copied c("mha-tied");
  for (auto line : {"\"num_key_value_heads\": 4,", "\"head_dim\": 8,", "\"attention_bias\": false,",
                    "\"rope_theta\": 10000.0,", "\"rms_norm_eps\": 1e-06,", "\"hidden_act\": \"silu\","})
    c.edit("config.json", line, "");
  hf::model_folder f(c.dir);
  CHECK(f.config().num_key_value_heads == 4);
  CHECK(f.config().head_dim == 8);
  CHECK(f.digest() == hf::model_folder(fixture("mha-tied")).digest());
}

TEST_CASE("theta inside the rope dictionary beats the one outside", "[models][folder]") {
  copied c;
  c.edit("config.json", "\"hidden_act\"", "\"rope_theta\": 7.0, \"hidden_act\"");
  CHECK(hf::model_folder(c.dir).config().rope_theta == 500000);
}

TEST_CASE("eos may be a number, a list or null", "[models][folder]") {
  auto eos_with = [](const std::string& config, const std::string& generation) {
    copied c;
    c.edit("config.json", "\"eos_token_id\": 2", "\"eos_token_id\": " + config);
    c.edit("generation_config.json", "\"eos_token_id\": 2", "\"eos_token_id\": " + generation);
    return hf::model_folder(c.dir).generation().eos;
  };
  CHECK(eos_with("7", "[5, 6]") == std::vector<token_id>{5, 6});
  CHECK(eos_with("7", "null") == std::vector<token_id>{7});
  CHECK(eos_with("null", "null").empty());
  copied c;
  fs::remove(c.dir / "generation_config.json");
  CHECK(hf::model_folder(c.dir).generation().eos == std::vector<token_id>{2});
}

TEST_CASE("sampling defaults come from generation_config.json", "[models][folder]") {
  copied c;
  c.edit("generation_config.json", "\"use_cache\": true", "\"do_sample\": true, \"temperature\": 0.6");
  hf::model_folder f(c.dir);
  CHECK(f.generation().do_sample);
  CHECK(f.generation().temperature == 0.6);
}

TEST_CASE("what cannot be run is refused with field and value", "[models][folder]") {
  CHECK_THAT(config_after("\"model_type\": \"llama\"", "\"model_type\": \"gemma\""), Contains("model_type is \"gemma\""));
  CHECK_THAT(config_after("LlamaForCausalLM", "LlamaModel"), Contains("architectures") && Contains("LlamaModel"));
  CHECK_THAT(config_after("\"hidden_act\": \"silu\"", "\"hidden_act\": \"gelu\""), Contains("hidden_act") && Contains("gelu"));
  CHECK_THAT(config_after("\"rope_type\": \"default\"", "\"rope_type\": \"longrope\""), Contains("rope_type") && Contains("longrope"));
  CHECK_THAT(config_after("\"rope_type\"", "\"partial_rotary_factor\": 0.5, \"rope_type\""), Contains("partial_rotary_factor"));
  CHECK_THAT(config_after("\"hidden_act\"", "\"quantization_config\": {}, \"hidden_act\""), Contains("quantization_config"));
}

TEST_CASE("numbers of a config that make no model are refused", "[models][folder]") {
  auto hidden = [](const std::string& v) { return config_after("\"hidden_size\": 48", "\"hidden_size\": " + v); };
  for (auto v : {"0", "-48", "48.5", "1e400", "\"48\"", "true", "[]", "18446744073709551616", "4294967344", "1048577"})
    CHECK_THAT(hidden(v), Contains("hidden_size") || Contains("not valid JSON"));
  CHECK_THAT(hidden("null"), Contains("\"hidden_size\" is missing"));
  CHECK_THAT(hidden("64"), Contains("[101, 48]") && Contains("[101, 64]"));
  CHECK_THAT(config_after("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4"), Contains("must divide"));
  CHECK_THAT(config_after("\"head_dim\": 10", "\"head_dim\": 9"), Contains("even"));
  CHECK_THAT(config_after("\"num_hidden_layers\": 4", "\"num_hidden_layers\": 5"), Contains("model.layers.4"));
  CHECK_THAT(config_after("\"num_hidden_layers\": 4", "\"num_hidden_layers\": 3"), Contains("no place"));
  CHECK_THAT(config_after("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", "mha-tied"),
             Contains("lm_head.weight") && Contains("missing"));
  CHECK_THAT(config_after("\"rope_theta\": 500000.0", "\"rope_theta\": -1"), Contains("rope_theta"));
  CHECK_THAT(config_after("\"rope_theta\": 500000.0", "\"rope_theta\": 0"), Contains("rope_theta"));
  CHECK_THAT(config_after("\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": -1"), Contains("rms_norm_eps"));
  CHECK_THAT(config_after("\"eos_token_id\": 2", "\"eos_token_id\": 101"), Contains("eos_token_id"));
  CHECK_THAT(config_after("\"vocab_size\": 101", "\"vocab_size\": 101, \"vocab_size\": 101"), Contains("stands twice"));
  CHECK_THAT(after("generation_config.json", "\"eos_token_id\": 2", "\"eos_token_id\": [\"x\"]"), Contains("eos_token_id"));
  CHECK_THAT(after("generation_config.json", "\"use_cache\": true", "\"temperature\": -1"), Contains("temperature"));
}

TEST_CASE("missing and foreign files are refused with a cure", "[models][folder]") {
  scratch empty;
  CHECK_THAT(complaint([&] { hf::model_folder{empty / "none"}; }), Contains("is no folder"));
  CHECK_THAT(complaint([&] { hf::model_folder{empty / "."}; }), Contains("config.json"));
  copied c;
  fs::remove(c.dir / "model.safetensors");
  CHECK_THAT(c.complaint(), Contains("model.safetensors: cannot be opened"));
  write_file(c.dir / "pytorch_model.bin", "x");
  CHECK_THAT(c.complaint(), Contains("pytorch_model.bin") && Contains("save_pretrained"));
  write_file(empty / "model.gguf", "GGUF");
  CHECK_THAT(complaint([&] { hf::model_folder{empty / "model.gguf"}; }), Contains("GGUF"));
}

TEST_CASE("a tensor under another name is missing and foreign", "[models][folder]") {
  CHECK_THAT(after("model.safetensors", "model.norm.weight", "model.n0rm.weight"),
             Contains("\"model.norm.weight\" is missing"));
}

TEST_CASE("the digest changes with every weight, dtype and number that matters", "[models][folder]") {
  auto digest = hf::model_folder(fixture("gqa-untied")).digest();
  CHECK(digest == hf::model_folder(copied().dir).digest());
  copied weight;
  auto bytes = read_file(weight.dir / "model.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file(weight.dir / "model.safetensors", bytes);
  CHECK(hf::model_folder(weight.dir).digest() != digest);
  copied type("mha-tied");
  for (std::size_t i = 0, count = hf::model_folder(type.dir).weights().size(); i < count; ++i)
    type.edit("model.safetensors", "\"BF16\"", "\"F16\" ");
  CHECK(hf::model_folder(type.dir).digest() != hf::model_folder(fixture("mha-tied")).digest());
  copied theta;
  theta.edit("config.json", "500000.0", "500001.0");
  CHECK(hf::model_folder(theta.dir).digest() != digest);
  copied notes;
  notes.edit("config.json", "5.23.0", "6.0.0");
  CHECK(hf::model_folder(notes.dir).digest() == digest);
}

TEST_CASE("a config with any byte changed is read or refused", "[models][folder]") {
  copied c("mha-tied");
  auto good = read_file(c.dir / "config.json");
  std::mt19937 random(7);
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    auto bad = good;
    bad[random() % bad.size()] = static_cast<char>(random());
    write_file(c.dir / "config.json", bad);
    refused += !c.complaint().empty();
  }
  CHECK(refused > 100);
}
