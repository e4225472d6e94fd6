#include "models/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace virga::models {

namespace {

/// SplitMix64's finaliser (Steele, Lea, Flood 2014).
std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

template <class Real>
double checked_maximum(std::span<const Real> row) {
  double best = -INFINITY;
  for (Real v : row) {
    if (std::isnan(v))
      throw bad_segment("the model's logits contain NaN; its weights or the rows it was given are damaged");
    best = std::max(best, static_cast<double>(v));
  }
  if (!std::isfinite(best))
    throw bad_segment("the model's logits have no finite maximum; its weights or the rows it was given are damaged");
  return best;
}

template <class Real>
token_id draw(std::span<const Real> row, const sampling& how, std::uint64_t position, double best) {
  token_id winner = 0;
  double top = -INFINITY;
  for (token_id id = 0; id < row.size(); ++id) {
    double score = static_cast<double>(row[id]);
    if (how.temperature > 0)
      score = (score - best) / how.temperature + gumbel(how.seed, id, position);
    if (score > top) {
      top = score;
      winner = id;
    }
  }
  return winner;
}

template <class Real>
std::vector<scored_token> best_of(std::span<const Real> row, std::uint32_t n, double log_sum) {
  std::vector<token_id> ids(row.size());
  std::iota(ids.begin(), ids.end(), 0u);
  auto count = std::min<std::size_t>(n, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), ids.end(),
                    [row](token_id a, token_id b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
  std::vector<scored_token> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back({ids[i], static_cast<double>(row[ids[i]]) - log_sum});
  return out;
}

template <class Real>
choice choose(std::span<const Real> row, const sampling& how, std::uint64_t position, std::uint32_t top_n) {
  if (!(how.temperature >= 0) || std::isinf(how.temperature))
    throw bad_segment("the temperature is " + std::to_string(how.temperature) + "; it must be 0 or more and finite");
  double best = checked_maximum(row);
  double sum = 0;
  for (Real v : row)
    sum += std::exp(static_cast<double>(v) - best);
  double log_sum = best + std::log(sum);
  choice c;
  c.id = draw(row, how, position, best);
  c.logprob = static_cast<double>(row[c.id]) - log_sum;
  c.confidence = 1 / sum;
  if (top_n > 0)
    c.top = best_of(row, top_n, log_sum);
  return c;
}

} // namespace

double gumbel(std::uint64_t seed, token_id token, std::uint64_t position) noexcept {
  auto bits = mix(mix(mix(seed) ^ position) ^ token);
  double uniform = (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;  // never 0, never 1
  return -std::log(-std::log(uniform));
}

choice choose_token(std::span<const double> logits, const sampling& how, std::uint64_t position, std::uint32_t top_n,
                    const seen_tokens&) {
  return choose(logits, how, position, top_n);
}

choice choose_token(std::span<const float> logits, const sampling& how, std::uint64_t position, std::uint32_t top_n,
                    const seen_tokens&) {
  return choose(logits, how, position, top_n);
}

} // namespace virga::models
