#include "deploy/local_model.hpp"

#include "deploy/failures.hpp"
#include "deploy/processes.hpp"
#include "deploy/progress_line.hpp"
#include "models/defaults.hpp"
#include "models/memory.hpp"

#include <CLI/CLI.hpp>

#include <charconv>
#include <chrono>
#include <iostream>
#include <iterator>
#include <thread>

#include <unistd.h>

namespace virga::deploy {

namespace {

/// Above this many bytes of weights more threads pay.
constexpr std::uintmax_t large_model_bytes = 100'000'000;

std::uintmax_t bytes_in(const std::filesystem::path& dir) {
  std::uintmax_t sum = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it(dir, error), end; !error && it != end; it.increment(error))
    if (auto size = it->file_size(error); !error)
      sum += size;
  return sum;
}

/// KV bytes of one sequence in whole pages.
std::uint64_t kv_bytes(const models::hf::model_config& c, std::uint64_t positions, dtype kv) {
  constexpr std::uint64_t page = models::defaults::kv_page_positions;
  return (positions + page - 1) / page * page * models::kv_bytes_per_token(c, kv);
}

} // namespace

void add_local_options(CLI::App& command, local_options& o) {
  command.add_option("--model", o.model, "Its folder; default models/zoo/cloud");
  command.add_option("--dtype", o.dtype, "Of the weights: f32 (default), bf16 (half the memory), int8 (a quarter), int4 (a seventh) or f64; a quantised folder has its own")
    ->check(CLI::IsMember({"f64", "f32", "bf16", "int8", "int4"}));
  command
    .add_option(
      "--kv-dtype", o.kv_dtype,
      "Of keys and values: f32, bf16 or int8 (bytes with a scale for each head); default f32 beside f32, else bf16")
    ->check(CLI::IsMember({"f32", "bf16", "int8"}));
  command.add_option("--device", o.device, "What computes: cpu (default) or cuda:N, in a build with CUDA")
    ->check([](const std::string& name) { return models::device_complaint(name); });
  command.add_option("--threads", o.threads, "Default: all cores for large models, 1 for small ones")->check(CLI::Range(1u, 1024u));
  command.add_flag("--reference", o.reference, "The plain C++ shard in place of libtorch's: slow, bit-identical everywhere");
}

void use_threads_for(const local_options& o) {
  if (o.threads > 0) {
    if (auto now = std::getenv("OMP_NUM_THREADS"); now && now == std::to_string(o.threads))
      return;
    ::unsetenv("OMP_NUM_THREADS");
    return use_threads(o.threads);
  }
  use_threads(bytes_in(o.model) >= large_model_bytes ? std::max(1u, std::thread::hardware_concurrency()) : 1);
}

local_model::local_model(local_options o) : options_(std::move(o)) {
  auto start = std::chrono::steady_clock::now();
  try {
    folder_ = std::make_unique<models::hf::model_folder>(options_.model, progress_line());
    if (std::filesystem::exists(folder_->dir() / "tokenizer.json"))
      tokenizer_ = models::load_tokenizer(folder_->dir());
  } catch (const models::bad_model& e) {
    throw bad_input(e.what());
  }
  if (auto& held = folder_->stages(); held.size() != 3 || held.front().kind != models::stage_kind::embedding)
    throw bad_input(options_.model + " holds only " + models::describe(held) + ": this needs a whole model");
  seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

const models::tokenizer& local_model::need_tokenizer() const {
  if (!tokenizer_)
    throw bad_input(options_.model + " has no tokenizer.json, so text cannot be read: give token ids with --ids");
  return *tokenizer_;
}

void local_model::check_prompt(const std::vector<token_id>& ids, std::uint32_t room) const {
  auto& c = folder_->config();
  if (ids.empty() || ids.size() + room > c.max_position_embeddings)
    throw bad_input("the prompt has " + std::to_string(ids.size()) + " tokens, the model takes 1 to "
                    + std::to_string(c.max_position_embeddings - room) + " (its context is "
                    + std::to_string(c.max_position_embeddings) + ")");
  for (auto id : ids)
    if (id >= c.vocab_size)
      throw bad_input("the token id " + std::to_string(id) + " is beyond the model's vocabulary of "
                      + std::to_string(c.vocab_size) + ": ids go from 0 to " + std::to_string(c.vocab_size - 1));
}

std::unique_ptr<models::shard> local_model::load(std::uint64_t positions) const {
  models::shard_options s;
  s.compute = weights();
  if (!options_.kv_dtype.empty())
    s.kv = options_.kv_dtype == "int8" ? dtype::i8_rows : dtype_named(options_.kv_dtype);
  return load(positions, s);
}

std::unique_ptr<models::shard> local_model::load(std::uint64_t positions, dtype weights) const {
  models::shard_options s;
  s.compute = weights;
  return load(positions, s);
}

std::unique_ptr<models::shard> local_model::load(std::uint64_t positions, models::shard_options s) const {
  s.kv_bytes = kv_bytes(folder_->config(), positions, models::kv_type(s));
  s.device = options_.device;
  s.progress = progress_line();
  try {
    if (options_.reference && s.device != "cpu")
      throw bad_input("--reference computes on the processor: leave --device " + s.device + " out");
    models::check_memory(*folder_, s, prefill_rows, models::free_memory_on(s.device));
    return options_.reference ? models::make_reference_shard(*folder_, s) : models::make_torch_shard(*folder_, s);
  } catch (const models::bad_model& e) {
    throw bad_input(e.what());
  }
}

dtype local_model::weights() const { return dtype_for(*folder_, options_.dtype); }

dtype dtype_named(const std::string& name) {
  for (auto t : {dtype::f64, dtype::bf16, dtype::int8, dtype::int4})
    if (name == to_string(t))
      return t;
  return dtype::f32;
}

dtype dtype_for(const models::hf::model_folder& folder, const std::string& name) {
  return name.empty() ? folder.packed().value_or(dtype::f32) : dtype_named(name);
}

std::string read_whole_input(const std::string& cure) {
  if (::isatty(0))
    throw bad_input("nothing to read: " + cure);
  return {std::istreambuf_iterator<char>(std::cin), {}};
}

std::string read_standard_input(const std::string& cure) {
  auto text = read_whole_input(cure);
  if (text.ends_with('\n'))
    text.pop_back();
  if (text.ends_with('\r'))
    text.pop_back();
  return text;
}

std::vector<token_id> parse_ids(const std::string& text) {
  constexpr std::string_view between = ", \t\r\n[]";
  std::vector<token_id> ids;
  for (auto at = text.find_first_not_of(between); at != std::string::npos;) {
    auto end = std::min(text.find_first_of(between, at), text.size());
    token_id id = 0;
    auto read = std::from_chars(text.data() + at, text.data() + end, id);
    if (read.ec != std::errc{} || read.ptr != text.data() + end)
      throw bad_input("--ids: `" + text.substr(at, std::min<std::size_t>(end - at, 40)) + "` is no token id; write 1,2,3");
    ids.push_back(id);
    at = text.find_first_not_of(between, end);
  }
  if (ids.empty())
    throw bad_input("--ids: there are none; write 1,2,3");
  return ids;
}

} // namespace virga::deploy
