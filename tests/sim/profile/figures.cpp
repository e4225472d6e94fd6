#include "tests/sim/profile/figures.hpp"

#include <algorithm>
#include <cmath>

namespace virga::testing {

namespace {

constexpr double most_drafted = 6;

double ms(time_point from, time_point to) { return std::chrono::duration<double, std::milli>(to - from).count(); }

bool is_right(const world& w, std::size_t number) {
  auto& r = w.requests[number];
  return r.ended && r.end.error == ec::none
         && r.got == target_answer(prompt_of(mixed(w.options.seed, number), r.prompt_tokens), w.options.answer_tokens);
}

double percentile(std::vector<double> values, double share) {
  if (values.empty())
    return 0;
  auto at = values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (auto v : values)
    sum += v;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

/// Rows up, a round trip, rows down, the head: what a round takes but for the cloud.
double link_and_head_s(const world& w, std::uint32_t device, double rows) {
  const auto bytes = rows * w.options.profile.model.row_bytes();
  return bytes / w.uplink(device) + wifi_rtt_s + bytes / w.downlink(device) + w.device_costs(device).back().of(rows);
}

/// All stages, one after the other, with nothing else in their batches.
double idle_cloud_s(const world& w, double rows) {
  double out = 0;
  for (std::uint32_t p = 0; p < pipeline_stages; ++p)
    out += part_cost(w.options.profile.model, p).of(rows);
  return out;
}

/// Means over the requests that count; without drafts a round's one token goes through the first layers before it.
void add_bounds(figures& f, const world& w, double drafted) {
  std::vector<double> floors, bounds;
  const auto tokens = std::max(f.tokens_a_round, 1.0), rows = 1 + drafted;
  for (auto& r : w.requests) {
    if (r.at_s < w.options.warm_s)
      continue;
    const auto outside = link_and_head_s(w, r.device, rows), before = drafted > 0 ? 0 : w.device_costs(r.device)[1].of(1);
    floors.push_back(1e3 * (before + outside + idle_cloud_s(w, rows)) / tokens);
    bounds.push_back((1e3 * outside + pipeline_stages * f.batch_ms + f.unhidden_ms) / tokens);
  }
  f.tbt_floor = mean(floors);
  f.tbt_bound = mean(bounds);
}

void add_batches(figures& f, const world& w) {
  double steps = 0, busy = 0, square = 0, rows = 0;
  for (std::size_t i = 0; i < w.stages.size(); ++i) {
    auto& m = *w.stages[i];
    auto cost = part_cost(w.options.profile.model, static_cast<std::uint32_t>(i % pipeline_stages));
    steps += static_cast<double>(m.steps);
    busy += m.busy_s;
    square += m.square_s;
    rows += static_cast<double>(m.rows);
    f.busy = std::max(f.busy, m.busy_s / w.window_s);
    f.load = std::max(f.load, static_cast<double>(m.rows) / w.window_s * cost.of(full_batch) / full_batch);
  }
  f.batch_ms = 1e3 * busy / std::max(steps, 1.0);
  f.batch_sd = 1e3 * std::sqrt(std::max(0.0, square / std::max(steps, 1.0) - std::pow(busy / std::max(steps, 1.0), 2)));
  f.batch_rows = rows / std::max(steps, 1.0);
}

} // namespace

figures figures_of(const world& w) {
  figures f;
  std::vector<double> prompts, ttft, tbt, floors;
  double rounds = 0, emitted = 0, drafted = 0, guessed = 0, unhidden_us = 0, all_rounds = 0;
  for (std::size_t i = 0; i < w.requests.size(); ++i) {
    auto& r = w.requests[i];
    f.wrong += is_right(w, i) ? 0 : 1;
    if (r.at_s < w.options.warm_s || r.got.size() < 2)
      continue;
    prompts.push_back(r.prompt_tokens);
    ttft.push_back(ms(r.sent, r.first));
    tbt.push_back(ms(r.first, r.last) / static_cast<double>(r.got.size() - 1));
    floors.push_back(1e3 * r.prompt_tokens * w.options.profile.model.row_bytes() / w.uplink(r.device));
    unhidden_us += static_cast<double>(r.end.draft_us);
    all_rounds += static_cast<double>(std::max(r.end.drafts.size(), w.options.drafts() ? 1 : r.got.size()) - 1);
    for (std::size_t k = 1; k < r.end.drafts.size(); ++k) {  // the first token is a round of its own
      ++rounds;
      drafted += r.end.drafts[k].drafted;
      emitted += 1 + r.end.drafts[k].accepted;
      guessed += r.end.drafts[k].source != draft_source::fresh ? 1 : 0;
    }
  }
  f.requests = ttft.size();
  f.prompt_mean = mean(prompts);
  f.prompt_p90 = percentile(prompts, 0.9);
  f.ttft = mean(ttft);
  f.ttft_p90 = percentile(ttft, 0.9);
  f.tbt = mean(tbt);
  f.ttft_floor = mean(floors);
  f.tokens_a_round = rounds > 0 ? emitted / rounds : 0;
  f.guessed = rounds > 0 ? guessed / rounds : 0;
  f.unhidden_ms = 1e-3 * unhidden_us / std::max(all_rounds, 1.0);
  add_batches(f, w);
  add_bounds(f, w, rounds > 0 ? drafted / rounds : 0);
  return f;
}

double capacity(const world_options& o) {
  auto sure = sure_share(o.profile.tokens_a_round);
  auto rows =
    o.drafts() ? (1 + (1 - std::pow(sure, most_drafted)) / (1 - sure)) / o.profile.tokens_a_round : 1;  // for a token
  double prompt = 0;
  for (auto& p : o.profile.prompts)
    prompt += p.share * p.mean;
  auto stage = part_cost(o.profile.model, 0);
  return 1 / ((prompt + rows * o.answer_tokens) * stage.of(full_batch) / full_batch);
}

std::vector<std::string> complaints(const world& w, std::size_t most) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < w.requests.size() && out.size() < most; ++i)
    if (!is_right(w, i))
      out.push_back("request " + std::to_string(i) + " has " + std::to_string(w.requests[i].got.size())
                    + " tokens, which are not the target's; " + w.requests[i].end.error_text);
  return out;
}

} // namespace virga::testing
