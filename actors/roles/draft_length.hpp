// actors/roles/draft_length.hpp: how many tokens a device drafts before it asks the cloud: as many as give the most
// tokens per second, from what was accepted so far, what a draft step costs and what the round costs.
// Source: HAT (arXiv 2503.18989): drafting stops when the device is unsure or at k_max. Here k_max itself follows the
// link, for a long draft over a slow uplink delays every token of a round that fails early.
#pragma once

#include "actors/roles/moving_average.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace virga {

/// Seconds of one round with `drafted` tokens, apart from drafting: upload, cloud, download, head.
using round_cost = std::function<double(std::uint32_t drafted)>;

class draft_length {
public:
  /// @param most tokens of one draft, ever
  explicit draft_length(std::uint32_t most);

  /// A round ended: the first `accepted` of `drafted` tokens stood. What it did not try is slowly forgotten, or a bad time at the
  /// beginning would end drafting for good.
  void add(std::uint32_t drafted, std::uint32_t accepted);

  /// The chance that token `position` (from 1) of a draft stands when those before it do. Positions that were never
  /// tried are thought to be like the last one that was; before any, `first_guess`.
  double acceptance(std::uint32_t position) const;

  /// Tokens that a round with `drafted` tokens emits on average: 1 + p1 + p1 p2 + ...
  double expected_tokens(std::uint32_t drafted) const;

  /// The k in [0, most] of most expected tokens per second; of equal ones the smallest. @param step_s seconds of one
  /// draft step
  std::uint32_t best(double step_s, const round_cost& cost) const;

  static constexpr double first_guess = 0.8;

private:
  std::vector<moving_average> stood_;  ///< by position - 1
};

} // namespace virga
