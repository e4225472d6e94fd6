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
  std::string id;              ///< chatcmpl-<session> or cmpl-<session>
  std::string model;           ///< "virga/split"
  std::int64_t created = 0;    ///< Unix time in s
};

/// The `virga` object of an answer: how it was made. Times in ms, measured by the gateway except compute, link and
/// queue, which the session reports. `tbt` is the mean time between tokens, 0 below two tokens.
struct virga_report {
  outcome result;              ///< with the gateway's own link, where the session ran across it, added
  std::string request_id;
  session_id session;
  double total_ms = 0;
  double ttft_ms = 0;
  double tbt_ms = 0;
};

// -- not streamed ------------------------------------------------------------------------------------------------------

/// chat.completion or text_completion.
std::string completion_json(const answer_head& h, const std::string& text, const virga_report& r);

// -- streamed: each is one or more whole `data: ...` events -------------------------------------------------------------

/// What a stream begins with: for chats the chunk with the role, else nothing.
std::string first_event(const answer_head& h);
std::string text_event(const answer_head& h, const std::string& text);
/// finish_reason and the virga object, then the usage chunk if asked for, then [DONE].
std::string last_events(const answer_head& h, const virga_report& r);
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
