// actors/gateway/openai_request.hpp: from the JSON body of /v1/chat/completions or /v1/completions to plain values.
// What the OpenAI API knows and virga cannot do yet is refused by name; what nobody knows is ignored.
#pragma once

#include "actors/gateway/api_error.hpp"
#include "messages/types.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace virga {

/// One valid request.
struct api_request {
  bool chat = false;             ///< which of the two forms, in and out
  strategy how = strategy::cloud;
  std::string prompt;            ///< as it is; empty in a chat
  std::vector<chat_message> messages;  ///< of a chat
  std::uint32_t max_tokens = 0;
  std::uint32_t choices = 1;     ///< OpenAI's n
  sampling choose;               ///< all but its seed
  std::optional<std::uint64_t> seed;
  std::vector<std::string> stop;
  bool stream = false;
  bool include_usage = false;    ///< of a stream
  std::optional<std::uint32_t> deadline_ms;
};

/// @param body the bytes as sent
/// @returns the request, or 400 (404 for a model that is no strategy's name) naming the field and the cure
std::variant<api_request, api_error> parse_chat(std::string_view body);
std::variant<api_request, api_error> parse_completion(std::string_view body);

/// "virga/split" or "split".
std::optional<strategy> strategy_of(std::string_view model);

/// "virga/split".
std::string model_name(strategy s);

/// A deadline in ms as decimal digits, as the header X-Virga-Deadline-Ms has it; cut to limits::deadline_ms.
/// @returns nothing for 0 and for what is no number
std::optional<std::uint32_t> parse_deadline_ms(std::string_view text);

} // namespace virga
