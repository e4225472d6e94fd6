#include "deploy/local_score.hpp"

#include "models/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace virga::deploy {

namespace {

/// Rows of logits at once: 64 rows of 152 k f32 logits are 39 MB.
constexpr std::size_t rows_at_once = 64;

template <class Real>
std::vector<Real> row_of(const tensor& logits, std::size_t i) {
  std::vector<Real> row(logits.cols);
  std::memcpy(row.data(), logits.data.data() + i * row.size() * sizeof(Real), row.size() * sizeof(Real));
  return row;
}

/// @param row predicts the token `id`
template <class Real>
scored_position score_one(const std::vector<Real>& row, token_id id, std::uint32_t top_k) {
  auto best = models::choose_token(std::span<const Real>(row), {}, 0, top_k);
  auto log_sum = static_cast<double>(row[best.id]) - best.logprob;
  return {id, true, static_cast<double>(row.at(id)) - log_sum, best.id, std::move(best.top)};
}

} // namespace

double text_scores::perplexity() const {
  double sum = 0;
  for (auto& t : tokens)
    sum += t.logprob;
  return tokens.size() < 2 ? 1 : std::exp(-sum / static_cast<double>(tokens.size() - 1));
}

text_scores score(models::shard& shard, const std::vector<token_id>& ids, std::uint32_t top_k) {
  text_scores out;
  out.tokens.push_back({ids.at(0), false, 0, 0, {}});
  models::segment s;
  s.seq = shard.open();
  s.last_stage = static_cast<std::uint32_t>(shard.info().stages.size() - 1);
  s.want.logits = rows_wanted::all;
  while (s.base + 1 < ids.size()) {
    auto count = std::min(rows_at_once, ids.size() - 1 - s.base);
    auto from = ids.begin() + static_cast<std::ptrdiff_t>(s.base);
    s.tokens.assign(from, from + static_cast<std::ptrdiff_t>(count));
    auto logits = shard.step(std::span(&s, 1)).at(0).logits;
    for (std::size_t i = 0; i < count; ++i) {
      auto next = ids[s.base + i + 1];
      out.tokens.push_back(logits.type == dtype::f64 ? score_one(row_of<double>(logits, i), next, top_k)
                                                     : score_one(row_of<float>(logits, i), next, top_k));
    }
    s.base += count;
  }
  shard.close(s.seq);
  return out;
}

score_difference compare(const text_scores& ours, const text_scores& other) {
  score_difference d;
  for (std::size_t i = 1; i < ours.tokens.size(); ++i) {
    ++d.compared;
    d.flips += ours.tokens[i].best != other.tokens[i].best ? 1 : 0;
  }
  d.perplexity = other.perplexity();
  d.perplexity_change = ours.perplexity() - other.perplexity();
  return d;
}

} // namespace virga::deploy
