// deploy/local_generation.hpp: the token loop of `virga run`: one model, one sequence, no actors.
#pragma once

#include "models/shard.hpp"
#include "models/tokenizer.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace virga::deploy {

struct local_request {
  std::vector<token_id> prompt;      ///< fits the context with one position left at least
  std::vector<token_id> stop_ids;    ///< end the answer and are not part of it
  std::vector<std::string> stop;     ///< likewise, as text; needs a tokenizer
  std::uint32_t max_tokens = 256;
  std::uint32_t logprobs = 0;        ///< best tokens to report with each token
  sampling choose;
};

struct local_answer {
  std::vector<token_id> ids;                ///< without the token that stopped it
  std::vector<models::choice> choices;      ///< of each of them
  std::string text;                         ///< empty without a tokenizer
  finish_reason finish = finish_reason::length;
  double prefill_seconds = 0, decode_seconds = 0;  ///< until the first token was chosen; from then on
};

/// Prefill in chunks, then token by token until a stop, the limit, or the end of the context.
/// @param tok nullptr: no text @param show gets each piece of text when it is final; may be empty
/// @throws what shard::step throws
local_answer generate(models::shard& shard, const models::tokenizer* tok, const local_request& r,
                      const std::function<void(const std::string&)>& show);

} // namespace virga::deploy
