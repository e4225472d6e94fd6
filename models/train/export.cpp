#include "models/train/export.hpp"

#include "models/hf/safetensors.hpp"

#include <boost/json.hpp>

#include <fstream>
#include <stdexcept>

namespace virga::models::train {

namespace {

namespace json = boost::json;
using world::vocabulary;

void indent(std::string& out, int depth) { out += '\n' + std::string(static_cast<std::size_t>(2 * depth), ' '); }

/// Boost.JSON writes one long line; people read these files.
void pretty(std::string& out, const json::value& v, int depth) {
  if (const auto* object = v.if_object(); object && !object->empty()) {
    auto separator = '{';
    for (const auto& [key, value] : *object) {
      out += separator;
      indent(out, depth + 1);
      out += json::serialize(key) + ": ";
      pretty(out, value, depth + 1);
      separator = ',';
    }
    indent(out, depth);
    out += '}';
  } else if (const auto* array = v.if_array(); array && !array->empty() && array->front().is_object()) {
    auto separator = '[';
    for (const auto& value : *array) {
      out += separator;
      indent(out, depth + 1);
      pretty(out, value, depth + 1);
      separator = ',';
    }
    indent(out, depth);
    out += ']';
  } else {
    out += json::serialize(v);
  }
}

void write_json(const std::filesystem::path& file, const json::value& v) {
  std::string text;
  pretty(text, v, 0);
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text << '\n';
  if (!out.flush()) {
    throw std::runtime_error("Cannot write " + file.string() + ": is the disk full?");
  }
}

json::object config_of(const net_shape& s) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"bos_token_id", vocabulary::bos},
          {"eos_token_id", vocabulary::eos},
          {"pad_token_id", vocabulary::pad},
          {"head_dim", s.head_dim},
          {"hidden_act", "silu"},
          {"hidden_size", s.hidden},
          {"initializer_range", 0.02},
          {"intermediate_size", s.intermediate},
          {"max_position_embeddings", s.max_positions},
          {"mlp_bias", false},
          {"num_attention_heads", s.heads},
          {"num_hidden_layers", s.layers},
          {"num_key_value_heads", s.kv_heads},
          {"rms_norm_eps", s.norm_eps},
          {"rope_theta", s.rope_theta},
          {"tie_word_embeddings", true},
          {"torch_dtype", "float32"},
          {"use_cache", true},
          {"vocab_size", s.vocab}};
}

json::object special_token(token_id id, const std::string& content) {
  return {{"id", id},         {"content", content}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

json::object bos_template(const vocabulary& words) {
  const auto& bos = words.words()[vocabulary::bos];
  const json::object special{{"SpecialToken", {{"id", bos}, {"type_id", 0}}}};
  const auto sequence = [](const char* id, int type) {
    return json::object{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  return {{"type", "TemplateProcessing"},
          {"single", json::array{special, sequence("A", 0)}},
          {"pair", json::array{special, sequence("A", 0), sequence("B", 1)}},
          {"special_tokens", {{bos, {{"id", bos}, {"ids", {vocabulary::bos}}, {"tokens", {bos}}}}}}};
}

json::object tokenizer_of(const vocabulary& words) {
  json::array added;
  for (auto id : {vocabulary::pad, vocabulary::bos, vocabulary::eos, vocabulary::unk}) {
    added.push_back(special_token(id, words.words()[id]));
  }
  json::object vocab;
  for (token_id id = 0; id < words.size(); ++id) {
    vocab[words.words()[id]] = id;
  }
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
          {"post_processor", bos_template(words)},
          {"decoder", nullptr},
          {"model", {{"type", "WordLevel"}, {"vocab", std::move(vocab)}, {"unk_token", words.words()[vocabulary::unk]}}}};
}

json::object special_names(const vocabulary& words) {
  return {{"bos_token", words.words()[vocabulary::bos]},
          {"eos_token", words.words()[vocabulary::eos]},
          {"pad_token", words.words()[vocabulary::pad]},
          {"unk_token", words.words()[vocabulary::unk]}};
}

json::object tokenizer_config_of(const vocabulary& words, const net_shape& s) {
  auto config = special_names(words);
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  config["model_max_length"] = s.max_positions;
  config["clean_up_tokenization_spaces"] = false;
  config["chat_template"] = "{{ bos_token }}{{ messages[-1]['content'] }}";
  return config;
}

void write_weights(net& trained, const std::filesystem::path& file) {
  const auto weights = trained.weights();
  std::vector<hf::tensor_view> tensors;
  for (const auto& p : trained.parameters()) {
    tensors.push_back({p.name, dtype::f32, p.shape, std::as_bytes(weights.subspan(p.offset, p.size()))});
  }
  hf::write_safetensors(file, tensors);
}

} // namespace

void export_folder(net& trained, const vocabulary& words, const std::filesystem::path& dir) {
  std::filesystem::create_directories(dir);
  const auto& shape = trained.shape();
  write_json(dir / "config.json", config_of(shape));
  write_json(dir / "tokenizer.json", tokenizer_of(words));
  write_json(dir / "tokenizer_config.json", tokenizer_config_of(words, shape));
  write_json(dir / "special_tokens_map.json", special_names(words));
  write_json(dir / "generation_config.json", json::object{{"bos_token_id", vocabulary::bos},
                                                          {"eos_token_id", vocabulary::eos},
                                                          {"pad_token_id", vocabulary::pad},
                                                          {"do_sample", false}});
  write_weights(trained, dir / "model.safetensors");
}

} // namespace virga::models::train
