// actors/gateway/logprobs_json.hpp: how likely tokens were, in the two forms that OpenAI's API has.
#pragma once

#include "messages/types.hpp"

#include <boost/json/fwd.hpp>

#include <cstddef>
#include <vector>

namespace virga {

/// {"content": [{"token", "logprob", "bytes", "top_logprobs"}]}. A token's text need not be whole characters: its bytes
/// are exact, its text has U+FFFD instead. A log-probability that JSON cannot say (a token with no chance) is -9999, as
/// vLLM has it.
boost::json::value chat_logprobs_json(const std::vector<token_logprobs>& of);

/// {"tokens", "token_logprobs", "top_logprobs", "text_offset"}; the chosen token is always among its top ones.
/// @param offset characters of the tokens before these; moved behind them
boost::json::value completion_logprobs_json(const std::vector<token_logprobs>& of, std::size_t& offset);

} // namespace virga
