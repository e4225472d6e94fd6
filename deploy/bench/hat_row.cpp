#include "deploy/bench/hat_row.hpp"

#include "deploy/pace_meter.hpp"

#include <boost/json.hpp>

#include <numeric>

namespace virga::deploy {
namespace {

namespace json = boost::json;
using models::world::word_role;

double mean(const std::vector<double>& all) {
  return all.empty() ? 0 : std::accumulate(all.begin(), all.end(), 0.0) / static_cast<double>(all.size());
}

/// Counts the drafted token at this place of the answer.
void count(draft_summary& sum, const models::world::text* words, std::size_t place, bool stood) {
  auto add = [stood](acceptance_rate& r) {
    ++r.drafted;
    r.accepted += stood ? 1 : 0;
  };
  add(sum.all);
  if (words == nullptr || place >= words->size())
    return;
  auto role = (*words)[place].role;
  if (role == word_role::fact)
    add(sum.facts);
  if (role == word_role::frame)
    add(sum.frame);
}

void walk(draft_summary& sum, const hat_answer& a, const models::world::text* words) {
  std::size_t place = 0;
  bool first = true;
  for (auto& r : a.got.drafts) {
    if (!std::exchange(first, false)) {
      ++sum.rounds;
      sum.tokens += r.accepted + 1u;
      ++sum.guessed[static_cast<std::size_t>(r.source)];
    }
    for (std::uint16_t i = 0; i < r.accepted; ++i)
      count(sum, words, place + i, true);
    if (r.accepted < r.drafted)
      count(sum, words, place + r.accepted, false);
    place += r.accepted + 1u;
  }
}

} // namespace

draft_summary summarise(const models::world::world& w, const std::vector<hat_answer>& answers) {
  draft_summary sum;
  for (auto& a : answers) {
    if (a.asked == nullptr || a.asked->answer.empty() || a.got.text != a.asked->answer) {
      walk(sum, a, nullptr);
      continue;
    }
    auto words = models::world::answer_of(w, a.asked->ask);
    walk(sum, a, &words);
  }
  return sum;
}

double hat_row::ttft_ms() const {
  std::vector<double> all;
  for (auto& a : answers)
    all.push_back(a.got.client_ttft_ms);
  return median(all);
}

double hat_row::tbt_ms() const {
  std::vector<double> all;
  for (auto& a : answers)
    if (a.got.tokens > 1)
      all.push_back(a.got.client_tbt_ms);
  return mean(all);
}

double hat_row::compute_ms() const {
  double ms = 0, rounds = 0;
  for (auto& a : answers) {
    auto drafted = !a.got.drafts.empty();
    ms += drafted ? a.got.cloud_ms + a.got.verdict_ms : a.got.compute_ms;
    rounds += static_cast<double>(drafted ? a.got.drafts.size() : a.got.tokens + 1);
  }
  return rounds == 0 ? 0 : ms / rounds;
}

double hat_row::exposed_draft_ms() const {
  double ms = 0, tokens = 0;
  for (auto& a : answers) {
    ms += a.got.draft_ms;
    tokens += static_cast<double>(a.got.tokens);
  }
  return tokens == 0 ? 0 : ms / tokens;
}

json::object hat_row::to_json() const {
  double up = 0, down = 0, tokens = 0;
  for (auto& a : answers) {
    up += static_cast<double>(a.got.bytes_up);
    down += static_cast<double>(a.got.bytes_down);
    tokens += static_cast<double>(a.got.tokens);
  }
  json::object out{{"model", model},       {"devices", devices},    {"rtt_ms", rtt_ms}, {"link_rtt_ms", link_rtt_ms},  {"strategy", strategy},
                   {"requests", answers.size()}, {"ttft_ms", ttft_ms()}, {"tbt_ms", tbt_ms()}, {"tokens", tokens},
                   {"tokens_per_s", wall_s > 0 ? tokens / wall_s : 0}, {"bytes_up", up}, {"bytes_down", down},
                   {"compute_ms", compute_ms()}, {"identical", identical}};
  if (drafts.rounds == 0)
    return out;
  out["accept_length"] = drafts.accept_length();
  out["acceptance"] = drafts.all.value();
  out["fact_acceptance"] = drafts.facts.value();
  out["facts_drafted"] = drafts.facts.drafted;
  out["frame_acceptance"] = drafts.frame.value();
  out["exposed_draft_ms"] = exposed_draft_ms();
  out["predicted_tbt_ms"] = predicted_tbt_ms();
  auto share = [&](std::size_t i) { return static_cast<double>(drafts.guessed[i]) / static_cast<double>(drafts.rounds); };
  out["drafts_from"] = json::object{{"fresh", share(0)}, {"bonus_guess", share(1)}, {"last_guess", share(2)}};
  return out;
}

} // namespace virga::deploy
