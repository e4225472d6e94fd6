// actors/gateway/api_error.hpp: refusals and failures in the form that OpenAI's clients read.
#pragma once

#include "actors/gateway/http.hpp"
#include "messages/types.hpp"

#include <cstdint>
#include <string>

namespace virga {

/// {"error": {"message", "type", "param", "code"}} and the status that goes with it.
struct api_error {
  int status = 400;
  std::string message;              ///< one sentence or two for people: what was wrong, where, what to do
  std::string param;                ///< the request's field; empty: null
  std::string code;                 ///< a name for programs; empty: null
  std::uint32_t retry_after_s = 0;  ///< 0: no Retry-After
};

/// 400 for a field of the request.
api_error bad_field(std::string field, std::string message);

/// How a session's failure looks to a client. `code` is the name of the ec.
api_error to_api_error(const failure& f);

/// The body: {"error": {...}}.
std::string error_json(const api_error& e);

/// The whole reply.
http_reply to_reply(const api_error& e);

} // namespace virga
