// actors/gateway/request_sampling.hpp: how a request wants its tokens chosen, and where it wants the answer to end.
#pragma once

#include "messages/types.hpp"

#include <boost/json/fwd.hpp>

namespace virga {

/// All but the seed: OpenAI's fields, and those that vLLM adds (top_k, min_p, repetition_penalty). Throws refused.
/// @param chat how OpenAI spells log-probabilities there: `logprobs` true and `top_logprobs`; else `logprobs` is a number
sampling read_sampling(const boost::json::object& o, bool chat);

/// "stop": a string or an array of them. Throws refused.
std::vector<std::string> read_stop(const boost::json::object& o);

} // namespace virga
