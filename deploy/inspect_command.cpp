#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "deploy/progress_line.hpp"
#include "models/chat_template.hpp"
#include "models/hf/folder.hpp"
#include "models/memory.hpp"
#include "models/tokenizer.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <iostream>
#include <map>

namespace virga::deploy {
namespace {

namespace json = boost::json;

struct problem {
  std::string part, why;
};

struct findings {
  std::shared_ptr<const models::hf::model_folder> folder;
  std::shared_ptr<const models::tokenizer> tokenizer;
  std::shared_ptr<const models::chat_template> chat;
  std::vector<problem> problems;
};

/// What one reader returns, or nothing and its complaint.
template <class Read>
auto attempt(findings& f, const char* part, Read read) -> decltype(read()) {
  try {
    return read();
  } catch (const models::bad_model& e) {
    f.problems.push_back({part, e.what()});
    return {};
  }
}

findings look_at(const std::string& dir) {
  findings f;
  f.folder = attempt(f, "model", [&] {
    auto folder = std::make_shared<const models::hf::model_folder>(dir, progress_line());
    folder->wait_for_check();
    return folder;
  });
  auto tokenizer_file = std::filesystem::path(dir) / "tokenizer.json";
  if (std::filesystem::exists(tokenizer_file))
    f.tokenizer = attempt(f, "tokenizer", [&] { return models::load_tokenizer(dir); });
  f.chat = attempt(f, "chat template", [&] { return models::load_chat_template(dir); });
  if (f.folder && f.tokenizer && f.tokenizer->vocab_size() > f.folder->config().vocab_size)
    f.problems.push_back({"tokenizer", "has ids up to " + std::to_string(f.tokenizer->vocab_size() - 1)
                                         + ", the model's vocabulary ends at "
                                         + std::to_string(f.folder->config().vocab_size - 1)
                                         + ": texts with tokens beyond it are refused"});
  return f;
}

std::string stage_of(const std::string& tensor) {
  constexpr std::string_view layers = "model.layers.";
  if (tensor.starts_with("model.embed_tokens."))
    return "embedding";
  if (tensor.starts_with(layers))
    return "layer " + tensor.substr(layers.size(), tensor.find('.', layers.size()) - layers.size());
  return "head";
}

/// Bytes as they stand in the files, in the order of the model.
std::vector<std::pair<std::string, std::uint64_t>> stage_bytes(const models::hf::model_folder& folder) {
  std::map<std::string, std::uint64_t> sums;
  for (auto& [name, tensor] : folder.weights())
    sums[stage_of(name)] += tensor.data.size();
  std::vector<std::pair<std::string, std::uint64_t>> out;
  auto take = [&](const std::string& stage) {
    if (auto it = sums.find(stage); it != sums.end())
      out.emplace_back(*it);
  };
  take("embedding");
  for (std::uint32_t i = 0; i < folder.config().num_hidden_layers; ++i)
    take("layer " + std::to_string(i));
  take("head");
  return out;
}

std::string stored_as(const models::hf::model_folder& folder) {
  std::map<std::string, std::uint64_t> bytes;
  for (auto& [name, tensor] : folder.weights())
    bytes[std::string(to_string(tensor.type)) + (tensor.packed ? " (quantised)" : "")] += tensor.data.size();
  std::string out;
  for (auto& [type, n] : bytes)
    out += (out.empty() ? "" : ", ") + type;
  return out;
}

std::string windows_text(const models::hf::model_config& c) {
  std::uint32_t sliding = 0, width = 0;
  for (auto w : c.windows)
    if (w > 0) {
      ++sliding;
      width = w;
    }
  return sliding == 0 ? "" : std::to_string(width) + " positions in " + std::to_string(sliding) + " layers";
}

json::object shape_json(const models::hf::model_config& c) {
  return {{"model_type", c.model_type},
          {"layers", c.num_hidden_layers},
          {"hidden_size", c.hidden_size},
          {"intermediate_size", c.intermediate_size},
          {"attention_heads", c.num_attention_heads},
          {"key_value_heads", c.num_key_value_heads},
          {"head_dim", c.head_dim},
          {"vocab_size", c.vocab_size},
          {"context", c.max_position_embeddings},
          {"tied_embeddings", c.tie_word_embeddings},
          {"sliding_window", windows_text(c)}};
}

json::object to_json(const std::string& dir, const findings& f) {
  json::array problems;
  for (auto& p : f.problems)
    problems.push_back(json::object{{"part", p.part}, {"why", p.why}});
  json::object out{{"model", dir}, {"runs", f.folder != nullptr}, {"problems", std::move(problems)}};
  if (f.folder) {
    json::object stages;
    for (auto& [name, bytes] : stage_bytes(*f.folder))
      stages[name] = bytes;
    auto& c = f.folder->config();
    out["stages"] = models::describe(f.folder->stages());
    out["digest"] = f.folder->digest();
    out["shape"] = shape_json(c);
    out["stored_as"] = stored_as(*f.folder);
    out["quantised"] = f.folder->packed() ? json::value(to_string(*f.folder->packed())) : json::value(nullptr);
    out["bytes"] = std::move(stages);
    out["kv_bytes_per_token"] = {{"f32", models::kv_bytes_per_token(c, dtype::f32)}, {"bf16", models::kv_bytes_per_token(c, dtype::bf16)}};
    json::object ignored;
    for (auto& [name, why] : f.folder->ignored())
      ignored[name] = why;
    out["ignored_tensors"] = std::move(ignored);
  }
  out["tokenizer_ids"] = f.tokenizer ? json::value(f.tokenizer->vocab_size()) : json::value(nullptr);
  out["chat_template"] = f.chat != nullptr;
  return out;
}

void print_folder(const findings& f) {
  auto& c = f.folder->config();
  std::cout << "  " << c.model_type << ", " << models::describe(f.folder->stages()) << ", stored as " << stored_as(*f.folder)
            << "\n  hidden " << c.hidden_size << ", intermediate " << c.intermediate_size << ", " << c.num_attention_heads
            << " heads (" << c.num_key_value_heads << " of keys and values) of " << c.head_dim << ", vocabulary "
            << c.vocab_size << (c.tie_word_embeddings ? " (tied)" : "") << ", context " << c.max_position_embeddings << "\n";
  if (auto w = windows_text(c); !w.empty())
    std::cout << "  sliding window: " << w << "\n";
  std::cout << "  digest " << f.folder->digest() << "\n  bytes:";
  for (auto& [name, bytes] : stage_bytes(*f.folder))
    std::cout << "  " << name << " " << models::bytes_text(bytes);
  std::cout << "\n  KV of one token: " << models::bytes_text(models::kv_bytes_per_token(c, dtype::f32)) << " in f32, "
            << models::bytes_text(models::kv_bytes_per_token(c, dtype::bf16)) << " in bf16\n";
  for (auto t : {dtype::f32, dtype::bf16, dtype::int8, dtype::int4}) {
    if (f.folder->packed().value_or(t) != t)
      continue;
    models::shard_options o;
    o.compute = t;
    o.kv_bytes = models::kv_bytes_per_token(c, models::kv_type(t)) * std::min<std::uint64_t>(c.max_position_embeddings, 4096);
    std::cout << "  memory with KV of up to 4,096 positions: " << models::arithmetic(models::need_of(*f.folder, o, 512), t) << "\n";
  }
  for (auto& [name, why] : f.folder->ignored())
    std::cout << "  ignored: " << name << ": " << why << "\n";
}

void print(const std::string& dir, const findings& f) {
  std::cout << dir << ": " << (f.folder ? "runs" : "cannot be run") << "\n";
  if (f.folder)
    print_folder(f);
  if (f.tokenizer)
    std::cout << "  tokenizer: " << f.tokenizer->vocab_size() << " ids\n";
  std::cout << "  chat template: " << (f.chat ? "yes" : "no") << "\n";
  for (auto& p : f.problems)
    std::cout << "  " << p.part << ": " << p.why << "\n";
}

constexpr auto footer = R"(Example:
  virga inspect my-llama --json

Says shape, bytes per stage, memory, and each part that cannot be run, with the reason.
JSON: model, runs, problems [{part, why}], stages, digest, shape, stored_as, quantised (its dtype, else null), bytes, kv_bytes_per_token, ignored_tensors,
tokenizer_ids (null without a tokenizer), chat_template.
Exit codes: 0 the model runs (tokenizer and template may not), 2 it does not.)";

} // namespace

void add_inspect_command(CLI::App& app) {
  auto* command = app.add_subcommand("inspect", "What a model folder holds, and what of it cannot be run and why");
  struct options {
    std::string model;
    bool as_json = false;
  };
  auto o = std::make_shared<options>();
  command->add_option("model,--model", o->model, "The folder")->required();
  command->add_flag("--json", o->as_json, "For programs");
  command->footer(footer);
  command->callback([o] {
    auto f = look_at(o->model);
    if (o->as_json)
      std::cout << to_json(o->model, f) << "\n";
    else
      print(o->model, f);
    if (!f.folder)
      throw CLI::RuntimeError(2);
  });
}

} // namespace virga::deploy
