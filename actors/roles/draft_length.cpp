#include "actors/roles/draft_length.hpp"

#include <algorithm>

namespace virga {

namespace {

/// Rounds come by the hundred: a longer memory than the link's.
constexpr double past = 0.95;

/// A position that is not tried any more drifts back to the first guess: what was given up is tried again after some hundred rounds.
constexpr double untried_past = 0.998;

} // namespace

draft_length::draft_length(std::uint32_t most) : stood_(most, moving_average(past)) {}

void draft_length::add(std::uint32_t drafted, std::uint32_t accepted) {
  auto tried = std::min<std::size_t>({drafted, std::size_t{accepted} + 1, stood_.size()});
  for (std::size_t i = 0; i < tried; ++i) {
    if (stood_[i].empty())  // one token alone says little
      stood_[i].add(acceptance(static_cast<std::uint32_t>(i + 1)));
    stood_[i].add(i < accepted ? 1 : 0);
  }
  for (std::size_t i = tried; i < stood_.size(); ++i)
    if (!stood_[i].empty())
      stood_[i].add(first_guess, untried_past);
}

double draft_length::acceptance(std::uint32_t position) const {
  auto known = first_guess;
  for (std::size_t i = 0; i < std::min<std::size_t>(position, stood_.size()); ++i)
    known = stood_[i].value_or(known);
  return known;
}

double draft_length::expected_tokens(std::uint32_t drafted) const {
  double sum = 1, chain = 1;
  for (std::uint32_t i = 1; i <= drafted; ++i)
    sum += chain *= acceptance(i);
  return sum;
}

std::uint32_t draft_length::best(double step_s, const round_cost& cost) const {
  std::uint32_t winner = 0;
  double most = 0;
  for (std::uint32_t k = 0; k <= stood_.size(); ++k) {
    auto seconds = k * step_s + cost(k);
    auto rate = seconds > 0 ? expected_tokens(k) / seconds : expected_tokens(k);
    if (rate > most * (1 + 1e-12)) {
      most = rate;
      winner = k;
    }
  }
  return winner;
}

} // namespace virga
