// actors/gateway/openai_response.hpp: from a session's answers to the JSON and the event stream that OpenAI's clients
// read. All functions give whole bodies or whole events; nothing here keeps a state.
#pragma once

#include "actors/gateway/api_error.hpp"
#include "messages/types.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace virga {

/// What every object of one answer repeats.
struct answer_head {
  bool chat = false;
  bool include_usage = false;  ///< of a stream: every chunk has `usage`, and one more chunk comes last
  bool logprobs = false;       ///< asked for; else null
  std::string id;              ///< chatcmpl-<session> or cmpl-<session>, of the first choice's session
  std::string model;           ///< "virga/split"
  std::int64_t created = 0;    ///< Unix time in s
};

/// Text of one of the answer's choices, and how likely its tokens were: all of it, or what is new of a stream.
struct choice_text {
  std::size_t index = 0;
  std::string text;
  std::vector<token_logprobs> logprobs;  ///< empty unless asked for
  bool unverified = false;               ///< of an answer that went on without the cloud
};

/// The `virga` object of a choice: how it was made. Times in ms, measured by the gateway except compute, link and
/// queue, which the session reports. `tbt` is the mean time between tokens, 0 below two tokens.
struct virga_report {
  outcome result;              ///< with the gateway's own link, where the session ran across it, added
  std::string request_id;
  session_id session;
  double total_ms = 0;
  double ttft_ms = 0;
  double tbt_ms = 0;
};

/// Tokens of a request: the prompt counts once, however many choices it has.
struct usage {
  std::uint64_t prompt = 0, completion = 0;
};

// -- not streamed ------------------------------------------------------------------------------------------------------

struct whole_choice {
  choice_text said;
  virga_report report;
};

/// chat.completion or text_completion. One choice's virga object is the answer's, of several each has its own.
std::string completion_json(const answer_head& h, const std::vector<whole_choice>& choices, const usage& u);

// -- streamed: each is one or more whole `data: ...` events -------------------------------------------------------------

/// What a choice begins with: for chats the chunk with the role, else nothing.
std::string first_event(const answer_head& h, std::size_t index);
/// @param offset characters that the choice had before; moved behind it
std::string text_event(const answer_head& h, const choice_text& piece, std::size_t& offset);
/// A choice's finish_reason and virga object.
std::string last_event(const answer_head& h, std::size_t index, const virga_report& r);
/// Behind the last choice: the usage chunk if asked for, then [DONE].
std::string end_events(const answer_head& h, const usage& u);
/// An error after the first token; nothing follows it.
std::string error_event(const api_error& e);
/// A comment that keeps proxies from closing a silent stream.
std::string_view keep_alive_event();

// -- other -------------------------------------------------------------------------------------------------------------

/// {"error": ..., "virga": ...} for a session that ended with an error.
std::string failed_json(const api_error& e, const virga_report& r);

/// /v1/models, and one entry of it.
std::string models_json(const std::vector<strategy>& served, std::int64_t created);
std::string model_json(strategy s, std::int64_t created);

} // namespace virga
