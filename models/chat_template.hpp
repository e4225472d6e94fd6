// models/chat_template.hpp: the chat template of a model folder: messages to the text that the model was trained on.
// The subset of Jinja that the templates of Llama, Mistral and Qwen use, rendered as transformers 5 renders it
// (trim_blocks, lstrip_blocks, loop controls, Python's str and json.dumps). Immutable, so threads may share it.
#pragma once

#include "messages/types.hpp"
#include "models/tokenizer.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace virga::models {

/// The messages do not suit the template: it called raise_exception, or asked for what they do not have. One sentence
/// with the template's own words.
struct bad_chat : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct chat_options {
  bool add_generation_prompt = true;
  /// JSON object of further variables ("tools", "enable_thinking", ...); "" for none.
  std::string extra_json;
  /// What strftime_now() shows.
  std::chrono::system_clock::time_point now = std::chrono::system_clock::now();
};

/// A prompt to encode with add_special = false and parse_special = true, literal = user_text: so special tokens that
/// someone wrote into a message stay text.
struct rendered_chat {
  std::string text;
  std::vector<text_range> user_text;  ///< bytes that came out of the messages; ascending
};

class chat_template {
public:
  virtual ~chat_template() = default;

  /// @param messages_json array of objects with at least "role"; content, tool_calls and the like as the template wants
  /// @throws bad_chat
  virtual rendered_chat render(std::string_view messages_json, const chat_options& how = {}) const = 0;

  /// Plain messages. @throws bad_chat
  rendered_chat render(std::span<const chat_message> messages, const chat_options& how = {}) const;
};

/// A template from its source. @param special_tokens JSON object of bos_token, eos_token, ... as strings; unset ones absent
/// @throws bad_model naming `where`, the line and the construct that is broken or not supported
std::shared_ptr<const chat_template> parse_chat_template(std::string_view source, std::string_view special_tokens,
                                                         const std::string& where);

/// DIR/chat_template.jinja, else tokenizer_config.json's chat_template (also as a list of named ones: "default"), with the
/// special tokens of tokenizer_config.json. @returns nullptr when the folder has none @throws bad_model
std::shared_ptr<const chat_template> load_chat_template(const std::filesystem::path& dir);

} // namespace virga::models
