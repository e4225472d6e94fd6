// actors/roles/draft.hpp: one line of drafting: a token that is given and the tokens that the device's own model puts
// behind it, until it is unsure. The draft of a round and each guess at how the next round begins are such lines, so a
// guess that comes true is exactly what would have been drafted. A plain class.
//
//   next() -> (input stages, bridge, head) -> on_step   ...   the last token goes through the input stages alone
//
// Source: HAT (arXiv 2503.18989), drafting with confidence stop; the token that stops it is part of the draft (as in
// Kangaroo).
#pragma once

#include "messages/types.hpp"
#include "models/shard.hpp"

#include <optional>

namespace virga {

/// When a draft ends.
struct draft_end {
  double unsure_below = 0.6;      ///< probability of a drafted token; 0: never, above 1: at the first token
  std::uint32_t most = 6;         ///< tokens drafted
  std::vector<token_id> stop;     ///< tokens that end an answer
};

class draft {
public:
  struct step {
    token_id id = 0;
    std::uint64_t position = 0;
    bool through_head = false;  ///< else the input stages alone
  };

  /// @param branch of the engine that it lives on @param position of `first`, which is not drafted
  draft(std::uint32_t branch, std::uint64_t position, token_id first, draft_end end);

  std::uint32_t branch() const { return branch_; }
  std::uint64_t base() const { return base_; }

  /// None when complete: every token went through the input stages.
  std::optional<step> next() const;

  /// The step ran. @param row [1, hidden] behind the input stages @param chosen what the head said, when it went that
  /// far
  void on_step(const tensor& row, const models::choice* chosen);

  bool complete() const { return rows_.rows == tokens_.size(); }
  std::uint32_t drafted() const { return static_cast<std::uint32_t>(tokens_.size()) - 1; }
  /// `first` and what was drafted behind it.
  const std::vector<token_id>& tokens() const { return tokens_; }
  /// [tokens that went through, hidden], the first one at base().
  const tensor& rows() const { return rows_; }
  /// Positions that went through the bridge: up to this one, exclusive.
  std::uint64_t bridged() const { return base_ + drafted(); }
  /// Runners-up of the last drafted token, best first.
  const std::vector<token_id>& alternatives() const { return alternatives_; }
  /// The last drafted token is one that the device would not bet on.
  bool unsure() const { return unsure_; }
  /// The last drafted token ends the answer.
  bool ends_answer() const;

private:
  std::uint32_t branch_;
  std::uint64_t base_;
  draft_end end_;
  std::vector<token_id> tokens_;
  tensor rows_;
  std::vector<token_id> alternatives_;
  bool unsure_ = false;
};

/// Rows [first, first + count) of `from`. Shapes must fit.
tensor some_rows(const tensor& from, std::uint32_t first, std::uint32_t count);

/// Puts rows below rows of the same width and dtype; an empty `to` becomes `more`.
void append_rows(tensor& to, const tensor& more);

/// Rows that follow each other as calls of at most `most` rows (0: all in one), in order. Of all but the last nothing comes back,
/// unless every row is wanted.
std::vector<verify> in_pieces(const verify& whole, std::uint32_t most);

} // namespace virga
