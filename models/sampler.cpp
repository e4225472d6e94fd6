#include "models/sampler.hpp"

#include "models/kernels/kernels.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

namespace virga::models {

namespace {

/// SplitMix64's finaliser (Steele, Lea, Flood 2014).
std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

struct summary {
  double most = -INFINITY;
  token_id at = 0;           ///< the first that is `most`
  double exponentials = 0;   ///< sum of e^(x - most); NaN when one is
};

summary summarise(std::span<const double> row) {
  summary out;
  out.at = static_cast<token_id>(std::max_element(row.begin(), row.end()) - row.begin());
  out.most = row[out.at];
  for (auto v : row)
    out.exponentials += std::exp(v - out.most);
  return out;
}

summary summarise(std::span<const float> row) {
  auto s = kernels::best_kernels().summarise(row.data(), static_cast<std::uint32_t>(row.size()));
  return {s.most, s.at, s.exponentials};
}

template <class Real>
summary checked(std::span<const Real> row) {
  auto out = row.empty() ? summary() : summarise(row);
  if (std::isnan(out.exponentials) && std::any_of(row.begin(), row.end(), [](Real v) { return std::isnan(v); }))
    throw bad_segment("the model's logits contain NaN; its weights or the rows it was given are damaged");
  if (!std::isfinite(out.most))
    throw bad_segment("the model's logits have no finite maximum; its weights or the rows it was given are damaged");
  return out;
}

/// Nothing of `how` can change what a row's largest number says.
bool takes_largest(const sampling& how) {
  return how.temperature == 0 && how.logit_bias.empty() && !how.looks_back();
}

/// The row after bias and penalties.
template <class Real>
std::vector<double> changed(std::span<const Real> row, const sampling& how, const seen_tokens& before) {
  std::vector<double> out(row.begin(), row.end());
  for (auto& b : how.logit_bias)
    out[b.id] += b.bias;
  if (!how.looks_back())
    return out;
  std::unordered_map<token_id, std::uint32_t> answered;  // seen at all, and how often in the answer
  for (std::size_t i = 0; i < before.all.size(); ++i)
    answered[before.all[i]] += i >= before.prompt ? 1 : 0;
  for (auto [id, count] : answered) {
    if (id >= out.size())
      continue;
    auto& v = out[id];
    v = v > 0 ? v / how.repetition_penalty : v * how.repetition_penalty;
    v -= how.presence_penalty * (count > 0 ? 1 : 0) + how.frequency_penalty * count;
  }
  return out;
}

token_id greedy(std::span<const double> row) {
  return static_cast<token_id>(std::max_element(row.begin(), row.end()) - row.begin());
}

/// The `n` likeliest ids, best first.
template <class Real>
std::vector<token_id> likeliest(std::span<const Real> row, std::size_t n) {
  std::vector<token_id> ids(row.size());
  std::iota(ids.begin(), ids.end(), 0u);
  n = std::min(n, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n), ids.end(),
                    [row](token_id a, token_id b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
  ids.resize(n);
  return ids;
}

/// How many of the ids, best first, it takes to have the share `p` of their probability. @param weight exp(score - best)
std::size_t nucleus(std::span<const double> row, const std::vector<token_id>& ids, double best, double p, double weight) {
  double have = 0;
  for (std::size_t n = 0; n < ids.size(); ++n) {
    have += std::exp(row[ids[n]] - best);
    if (have >= p * weight)
      return n + 1;
  }
  return ids.size();
}

/// The ids that top-k, top-p and min-p leave; at least one. @param row tempered
std::vector<token_id> kept(std::span<const double> row, const sampling& how) {
  constexpr std::size_t first_try = 256;  // few rows need more, and sorting all of them is slow
  double best = row[greedy(row)];
  auto limit = how.top_k > 0 ? std::min<std::size_t>(how.top_k, row.size()) : row.size();
  for (auto n = std::min(first_try, limit);; n = std::min(n * 8, limit)) {
    auto ids = likeliest(row, n);
    double weight = 0;
    if (limit < row.size())  // top-p is a share of what top-k left
      for (auto id : n < limit ? likeliest(row, limit) : ids)
        weight += std::exp(row[id] - best);
    else
      for (auto v : row)
        weight += std::exp(v - best);
    auto taken = how.top_p < 1 ? nucleus(row, ids, best, how.top_p, weight) : ids.size();
    ids.resize(taken);
    while (ids.size() > 1 && std::exp(row[ids.back()] - best) < how.min_p)
      ids.pop_back();
    if (ids.size() < n || n == limit)
      return ids;
  }
}

/// The `n` ids of highest log p + Gumbel among those that the filters leave, best first.
std::vector<token_id> draw(std::span<const double> row, const sampling& how, std::uint64_t position, std::size_t n) {
  std::vector<std::pair<double, token_id>> best;  // a handful: kept in order by hand
  auto better = [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; };
  auto look = [&](token_id id) {
    std::pair one{row[id] + gumbel(how.seed, id, position), id};
    if (best.size() == n && !better(one, best.back()))
      return;
    best.insert(std::ranges::upper_bound(best, one, better), one);
    best.resize(std::min(best.size(), n));
  };
  if (how.top_k == 0 && how.top_p == 1 && how.min_p == 0)
    for (token_id id = 0; id < row.size(); ++id)
      look(id);
  else
    for (auto id : kept(row, how))
      look(id);
  std::vector<token_id> ids;
  for (auto& [score, id] : best)
    ids.push_back(id);
  return ids;
}

/// The choice and `others` runners-up.
std::vector<token_id> pick(std::vector<double> row, const sampling& how, std::uint64_t position, std::size_t others) {
  if (how.temperature == 0)
    return others == 0 ? std::vector{greedy(row)} : likeliest(std::span<const double>(row), 1 + others);
  double highest = row[greedy(row)];
  for (auto& v : row)
    v = (v - highest) / how.temperature;
  return draw(row, how, position, 1 + others);
}

template <class Real>
choice choose(std::span<const Real> row, const sampling& how, std::uint64_t position, std::uint32_t top_n,
              const seen_tokens& before, std::uint32_t alternatives) {
  if (auto wrong = complaint(how, static_cast<std::uint32_t>(row.size())); !wrong.empty())
    throw bad_segment(wrong);
  auto all = checked(row);
  double log_sum = all.most + std::log(all.exponentials);
  choice c;
  auto chosen = takes_largest(how) && alternatives == 0 ? std::vector{all.at}
                                                        : pick(changed(row, how, before), how, position, alternatives);
  c.id = chosen.front();
  c.alternatives.assign(chosen.begin() + 1, chosen.end());
  c.logprob = static_cast<double>(row[c.id]) - log_sum;
  c.confidence = 1 / all.exponentials;
  for (auto id : top_n > 0 ? likeliest(row, top_n) : std::vector<token_id>{})
    c.top.push_back({id, static_cast<double>(row[id]) - log_sum});
  return c;
}

/// "top_p is 3; it must be above 0 and at most 1"
std::string out_of_range(const char* field, double value, const char* range) {
  std::ostringstream text;
  text << field << " is " << value << "; it must be " << range;
  return text.str();
}

std::string bias_complaint(const std::vector<token_bias>& biases, std::uint32_t vocab) {
  std::unordered_set<token_id> seen;
  for (auto& b : biases) {
    if (b.id >= vocab)
      return "logit_bias names the token " + std::to_string(b.id) + ", beyond the model's vocabulary of " + std::to_string(vocab);
    if (!std::isfinite(b.bias))
      return out_of_range("logit_bias", b.bias, "finite");
    if (!seen.insert(b.id).second)
      return "logit_bias names the token " + std::to_string(b.id) + " twice";
  }
  return "";
}

} // namespace

std::string complaint(const sampling& how, std::uint32_t vocab) {
  auto finite = [](double v) { return std::isfinite(v); };
  if (!(how.temperature >= 0) || !finite(how.temperature))
    return out_of_range("temperature", how.temperature, "0 or more and finite");
  if (!(how.top_p > 0 && how.top_p <= 1))
    return out_of_range("top_p", how.top_p, "above 0 and at most 1");
  if (!(how.min_p >= 0 && how.min_p <= 1))
    return out_of_range("min_p", how.min_p, "from 0 to 1");
  if (!(how.repetition_penalty > 0) || !finite(how.repetition_penalty))
    return out_of_range("repetition_penalty", how.repetition_penalty, "above 0 and finite");
  if (!finite(how.presence_penalty))
    return out_of_range("presence_penalty", how.presence_penalty, "finite");
  if (!finite(how.frequency_penalty))
    return out_of_range("frequency_penalty", how.frequency_penalty, "finite");
  return bias_complaint(how.logit_bias, vocab);
}

double gumbel(std::uint64_t seed, token_id token, std::uint64_t position) noexcept {
  auto bits = mix(mix(mix(seed) ^ position) ^ token);
  double uniform = (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;  // never 0, never 1
  return -std::log(-std::log(uniform));
}

choice choose_token(std::span<const double> logits, const sampling& how, std::uint64_t position, std::uint32_t top_n,
                    const seen_tokens& before, std::uint32_t alternatives) {
  return choose(logits, how, position, top_n, before, alternatives);
}

choice choose_token(std::span<const float> logits, const sampling& how, std::uint64_t position, std::uint32_t top_n,
                    const seen_tokens& before, std::uint32_t alternatives) {
  return choose(logits, how, position, top_n, before, alternatives);
}

} // namespace virga::models
