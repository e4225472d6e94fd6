// actors/roles/device_session.hpp: the bookkeeping of one request on the device side of `split`: which tokens go
// through the input stages next, what the cloud is asked, what its rows mean. A plain class; the DRAFTER carries it.
//
//   next_input -> (input stages) -> on_input -> (middle, in the cloud) -> on_deep -> (head) -> on_choice
//        ^                                          | more of the prompt               | a new token
//        +------------------------------------------+----------------------------------+
//
// Without drafting each round feeds what is committed and not yet fed: the prompt in chunks, then one token at a time.
// Source: HAT (arXiv 2503.18989), U-shaped split: head and tail on the device, tokens never leave it.
#pragma once

#include "messages/types.hpp"

#include <optional>

namespace virga {

class device_session {
public:
  struct input_work {
    std::uint64_t base;
    std::vector<token_id> ids;
  };
  struct middle_work {
    std::uint64_t base;
    rows_wanted want;  ///< last for the rows that end what is committed, else none
  };
  struct progress {
    std::optional<std::uint64_t> position;  ///< of the emitted token among the answer's; none: it was a stop token
    finish_reason finish = finish_reason::none;
  };

  /// @param chunk_rows positions of one round at most
  device_session(complete work, std::uint32_t chunk_rows);

  /// Continues an older placement of the same request: what both have in common stays fed.
  void take_over(const device_session& older);

  /// Both caches hold at least so many positions: the rest goes through again.
  void roll_back(std::uint64_t length);

  /// Positions that went through all stages.
  std::uint64_t fed() const { return fed_; }

  /// The committed positions that go through the model next; never empty.
  input_work next_input();

  /// The shallow rows of next_input() are there: how the cloud shall run them.
  middle_work on_input() const;

  /// The cloud has run them. @returns the position whose deep row the head needs, or none: call next_input() again
  std::optional<std::uint64_t> on_deep();

  /// The head has chosen the next token.
  progress on_choice(token_id id);

  const sampling& choose() const { return work_.choose; }
  /// Where the next choice looks back: all that is committed, else nothing.
  std::vector<token_id> context() const { return work_.choose.looks_back() ? work_.prompt : std::vector<token_id>{}; }
  /// How many of these are the prompt, for penalties.
  std::uint32_t context_prompt() const { return prompt_tokens() - work_.answered; }
  std::uint32_t emitted() const { return emitted_; }
  std::uint32_t prompt_tokens() const { return static_cast<std::uint32_t>(work_.prompt.size()) - emitted_; }
  std::uint32_t max_tokens() const { return work_.max_tokens; }

private:
  complete work_;  ///< its prompt grows by the emitted tokens: all that is committed
  std::uint32_t chunk_rows_;
  std::uint64_t fed_ = 0;
  std::uint64_t flying_ = 0;  ///< positions of the current round
  std::uint32_t emitted_ = 0;
};

} // namespace virga
