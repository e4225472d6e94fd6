// deploy/adapter_sources.hpp: the model of `virga train adapter` and the data that its options name.
#pragma once

#include "deploy/local_model.hpp"
#include "models/train/adapter_data.hpp"
#include "models/train/adapter_features.hpp"
#include "models/train/own_data.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace virga::deploy {

struct adapter_source_options {
  std::string model, out, dtype = "f32";
  std::uint32_t split = 1;
  std::vector<std::string> data{};     ///< "world", "own", or files; none: world where the model speaks of it
  std::string prompts{};               ///< file with a prompt a line, for "own"; none: the world's training split
  std::uint32_t prompt_count = 4000;   ///< of the world, for "own"
  std::uint32_t answer_tokens = 128;   ///< of one continuation, for "own"
  bool chat = false;                   ///< each prompt is a user's message
  std::uint32_t width = 512, batch_tokens = 3072;
};

/// Everything that outlives a training run.
class adapter_sources {
public:
  /// Loads model and data; "own" lets the model answer first. @throws bad_input
  explicit adapter_sources(const adapter_source_options& o);

  const models::hf::model_folder& folder() const { return local_.folder(); }
  models::train::adapter_features& features() { return *features_; }
  models::train::adapter_data& data() { return *data_; }
  /// nullptr where the model's tokens are not the world's words.
  const models::world::world* world() const { return world_.get(); }
  const models::world::vocabulary& words() const { return words_; }
  /// Ids that end an answer.
  const std::vector<token_id>& stop() const { return folder().generation().eos; }

private:
  void choose_data(const adapter_source_options& o);
  void load_features(const adapter_source_options& o, std::uint64_t longest);
  std::unique_ptr<models::train::adapter_data> own_data(const adapter_source_options& o);
  models::train::prompt_list prompts_of(const adapter_source_options& o) const;
  std::vector<token_id> encode_prompt(const std::string& text, const models::chat_template* chat) const;

  local_model local_;
  models::world::vocabulary words_;
  std::unique_ptr<models::world::world> world_;
  std::unique_ptr<models::train::adapter_features> features_;
  std::unique_ptr<models::train::adapter_data> data_;
};

} // namespace virga::deploy
