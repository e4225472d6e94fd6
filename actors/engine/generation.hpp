// actors/engine/generation.hpp: one `engine_run` as a generator of segments: prefill in chunks, then one row per token.
// A plain class; steps and runs share the engine's path because a run always has exactly one segment that waits.
#pragma once

#include "actors/calls.hpp"

#include <caf/error.hpp>

#include <optional>

namespace virga {

class generation {
public:
  struct limits {
    std::uint32_t stages = 0;        ///< of the shard; a run passes all of them
    std::uint32_t context = 0;       ///< positions
    std::uint32_t prefill_rows = 0;  ///< of one chunk at most
  };

  /// What one segment's result brought.
  struct progress {
    std::optional<tokens> piece;                      ///< to emit
    finish_reason finish = finish_reason::none;       ///< other than none: the run is over
  };

  generation(engine_run ask, limits bounds);

  /// Why this run can never start: ec::bad_request, ec::context_exceeded, ec::unsupported; or none.
  caf::error refusal() const;

  /// Nothing to generate: the run is over before its first segment.
  bool empty() const { return budget_ == 0; }

  /// The segment that is due. Its sequence is left to the caller.
  models::segment next() const;

  /// Takes the result of the segment that next() gave.
  progress take(const models::segment_result& result);

private:
  bool prefilling() const { return done_ < ask_.prompt.size(); }
  std::size_t chunk() const;

  engine_run ask_;
  limits bounds_;
  std::uint64_t budget_ = 0;   ///< tokens to generate at most: max_tokens, or what the context leaves
  std::uint64_t done_ = 0;     ///< positions in the cache
  std::uint64_t emitted_ = 0;
  token_id last_ = 0;          ///< chosen, not yet in the cache
  std::vector<token_id> seen_;  ///< prompt and answer, where the choice looks back
};

} // namespace virga
