// deploy/bench/hat_row.hpp: what the answers of one strategy at one setting come to: a row of `virga bench systems`.
#pragma once

#include "deploy/ask.hpp"
#include "models/world/question.hpp"

#include <boost/json/object.hpp>

#include <vector>

namespace virga::deploy {

/// One answered question of the world, or of no world (`asked` null: nothing is known of its words).
struct hat_answer {
  const models::world::question* asked = nullptr;
  reply got;
};

/// Drafted tokens of one kind and how many stood.
struct acceptance_rate {
  std::uint64_t drafted = 0, accepted = 0;
  double value() const { return drafted == 0 ? 0 : static_cast<double>(accepted) / static_cast<double>(drafted); }
};

/// What drafting did in these answers. Positions are tokens, and in the world every word is one.
struct draft_summary {
  std::uint64_t rounds = 0;      ///< but the first of each answer, which drafts nothing
  std::uint64_t tokens = 0;      ///< that these rounds gave: accepted ones and one more each
  acceptance_rate all, facts, frame;  ///< facts and frame: of answers that are the reference
  std::uint64_t guessed[3]{};    ///< rounds by draft_source
  double accept_length() const { return rounds == 0 ? 1 : static_cast<double>(tokens) / static_cast<double>(rounds); }
};

draft_summary summarise(const models::world::world& w, const std::vector<hat_answer>& answers);

/// Client times and bytes of one strategy at one setting.
struct hat_row {
  std::string model, strategy;
  std::uint32_t devices = 1;
  double rtt_ms = 0;             ///< that the shaper adds
  double link_rtt_ms = 0;        ///< that the link has, measured
  std::vector<hat_answer> answers;
  double wall_s = 0;             ///< in which they were answered
  bool identical = false;        ///< every text is that of `split`, and of `cloud` where it runs
  draft_summary drafts;

  double ttft_ms() const;        ///< median
  double tbt_ms() const;         ///< mean of the requests' means
  double compute_ms() const;     ///< per round after the first, on the critical path: cloud and head for hat, all for the others
  double exposed_draft_ms() const;  ///< per token: drafting that could not be hidden
  /// The bound of the goal: (measured RTT + compute) / accept length + exposed drafting.
  double predicted_tbt_ms() const { return (link_rtt_ms + compute_ms()) / drafts.accept_length() + exposed_draft_ms(); }
  boost::json::object to_json() const;
};

} // namespace virga::deploy
