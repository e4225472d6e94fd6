// deploy/local_model.hpp: a model folder run in this one process, for the commands that need no deployment.
#pragma once

#include "deploy/failures.hpp"
#include "models/chat_template.hpp"
#include "models/make_shard.hpp"
#include "models/tokenizer.hpp"

#include <memory>
#include <string>

namespace CLI {
class App;
}

namespace virga::deploy {

struct local_options {
  std::string model = "models/zoo/cloud";
  std::string dtype;           ///< of weights: f64, f32, bf16, int8 or int4; empty: that of a quantised folder, else f32
  std::uint32_t threads = 0;   ///< 0: all cores for large models, one for small ones
  std::string device = "cpu";  ///< or "cuda:N"
  bool reference = false;
  std::string kv_dtype{};      ///< of KV: f32, bf16 or int8; empty: as the weights' dtype says
};

/// --model, --dtype, --kv-dtype, --device, --threads, --reference.
void add_local_options(CLI::App& command, local_options& o);

/// Says threads to OpenMP and MKL. May run the program again with the same arguments: call it before reading anything.
void use_threads_for(const local_options& o);

/// Rows of one step of a prompt: bounds the memory of a long one.
inline constexpr std::uint32_t prefill_rows = 512;

/// Opened in two steps, so that a prompt can be refused before gigabytes are converted.
class local_model {
public:
  /// Reads config, tokenizer and hashes of the weights. @throws bad_input
  explicit local_model(local_options o);

  const models::hf::model_folder& folder() const { return *folder_; }
  /// nullptr when the folder has no tokenizer.json: then only ids can be used.
  const std::shared_ptr<const models::tokenizer>& tokenizer() const { return tokenizer_; }
  /// The same. @throws bad_input when there is none, naming --ids
  const models::tokenizer& need_tokenizer() const;

  /// Throws bad_input when the ids are none, more than the context takes, or outside the model's vocabulary.
  /// @param room positions that must be left behind them
  void check_prompt(const std::vector<token_id>& ids, std::uint32_t room) const;

  /// Converts the weights, with room for `positions` of one sequence. @throws bad_input, also when memory does not suffice
  std::unique_ptr<models::shard> load(std::uint64_t positions) const;
  /// The same with other weights, and the KV that goes with them.
  std::unique_ptr<models::shard> load(std::uint64_t positions, dtype weights) const;

  dtype weights() const;
  double seconds() const { return seconds_; }  ///< that opening took

private:
  std::unique_ptr<models::shard> load(std::uint64_t positions, models::shard_options s) const;

  local_options options_;
  std::unique_ptr<models::hf::model_folder> folder_;
  std::shared_ptr<const models::tokenizer> tokenizer_;
  double seconds_ = 0;
};

/// Runs `work`: what is wrong with a model folder, a text or messages becomes bad_input, so exit code 2.
template <class Work>
void blaming_input(Work work) {
  try {
    work();
  } catch (const models::bad_model& e) {
    throw bad_input(e.what());
  } catch (const models::bad_segment& e) {
    throw bad_input(e.what());
  } catch (const models::bad_chat& e) {
    throw bad_input(e.what());
  }
}

/// Standard input to its end. @throws bad_input on a terminal, saying what to give
std::string read_whole_input(const std::string& cure);

/// The same less one line break at the end.
std::string read_standard_input(const std::string& cure);

/// "f64", "f32", "bf16", "int8" or "int4".
dtype dtype_named(const std::string& name);

/// The same; empty: that of a quantised folder, else f32.
dtype dtype_for(const models::hf::model_folder& folder, const std::string& name);

/// "1,2, 3" or "[1, 2, 3]" -> ids. @throws bad_input naming the piece that is no id
std::vector<token_id> parse_ids(const std::string& text);

} // namespace virga::deploy
