#include "deploy/demo_report.hpp"

#include "deploy/table.hpp"

#include <boost/json.hpp>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

namespace virga::deploy {
namespace {

namespace json = boost::json;
using models::world::wilson;

constexpr std::uint64_t long_answer = 40;  // tokens

std::string sha256(const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

double per(double sum, double count) { return count == 0 ? 0 : sum / count; }

double median(std::vector<double> x) {
  if (x.empty())
    return 0;
  auto middle = x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2);
  std::nth_element(x.begin(), middle, x.end());
  return *middle;
}

strategy_row make_row(const demo_answers& answers) {
  strategy_row row;
  row.name = answers.strategy;
  std::vector<double> ttft;
  double between_ms = 0, gaps = 0, total_s = 0, compute_ms = 0, steps = 0, up = 0, down = 0, trips = 0;
  for (const auto& a : answers.all) {
    ++row.exact.asked;
    row.exact.right += a.exact;
    if (!a.error.empty()) {
      ++row.failed;
      continue;
    }
    const auto& r = a.answer;
    ttft.push_back(r.client_ttft_ms);
    row.tokens += r.tokens;
    row.long_answers += r.tokens >= long_answer;
    auto later = static_cast<double>(r.tokens > 1 ? r.tokens - 1 : 0);
    between_ms += r.client_tbt_ms * later;
    gaps += later;
    total_s += r.client_total_ms / 1000;
    compute_ms += r.compute_ms;
    steps += static_cast<double>(r.tokens + 1);  // the stop token is one more step
    up += static_cast<double>(r.bytes_up);
    down += static_cast<double>(r.bytes_down);
    trips += static_cast<double>(r.round_trips);
  }
  auto tokens = static_cast<double>(row.tokens);
  row.ttft_ms = median(ttft);
  row.tbt_ms = per(between_ms, gaps);
  row.tokens_per_s = per(tokens, total_s);
  row.bytes_up_per_token = per(up, tokens);
  row.bytes_down_per_token = per(down, tokens);
  row.compute_ms_per_token = per(compute_ms, steps);
  row.tokens_per_round_trip = per(tokens, trips);
  return row;
}

const strategy_row* find(const demo_report& r, const std::string& name) {
  auto i = std::find_if(r.strategies.begin(), r.strategies.end(), [&](const strategy_row& s) { return s.name == name; });
  return i == r.strategies.end() ? nullptr : &*i;
}

const demo_answers* find(const std::vector<demo_answers>& all, const std::string& name) {
  auto i = std::find_if(all.begin(), all.end(), [&](const demo_answers& a) { return a.strategy == name; });
  return i == all.end() ? nullptr : &*i;
}

/// "0.985 [0.957, 0.995]"
std::string with_interval(const models::world::rate& r) {
  auto i = wilson(r);
  return fixed(r.value(), 3) + " [" + fixed(i.low, 3) + ", " + fixed(i.high, 3) + "]";
}

void compare_texts(demo_report& r, const std::vector<demo_answers>& answers) {
  const auto* cloud = find(answers, "cloud");
  for (std::size_t s = 0; cloud && s < answers.size(); ++s)
    for (std::size_t i = 0; i < cloud->all.size(); ++i) {
      const auto &a = cloud->all[i], &b = answers[s].all[i];
      r.strategies[s].identical += a.error.empty() && b.error.empty() && a.answer.text == b.answer.text;
    }
}

/// Strategies that run all of the large model: their text is cloud's.
constexpr std::array lossless{"split", "hat"};
constexpr double tokens_per_round_trip = 2;  // the paper's figure; less would not be worth the adapter

void make_promises(demo_report& r) {
  const auto *cloud = find(r, "cloud"), *edge = find(r, "edge"), *split = find(r, "split"), *hat = find(r, "hat");
  std::uint64_t failures = 0;
  for (const auto& s : r.strategies)
    failures += s.failed;
  r.promises.push_back({"every question is answered: " + std::to_string(failures) + " failed", failures == 0});
  if (cloud)
    r.promises.push_back({"cloud is right: exact " + fixed(cloud->exact.value(), 3) + " >= 0.95", cloud->exact.value() >= 0.95});
  for (const auto* name : lossless)
    if (const auto* s = find(r, name); s && cloud)
      r.promises.push_back({std::string(name) + " gives the text of cloud: " + std::to_string(s->identical) + " of "
                              + std::to_string(s->exact.asked), s->identical == s->exact.asked});
  if (cloud && edge) {
    auto above = wilson(edge->exact).high, below = wilson(cloud->exact).low;
    r.promises.push_back({"edge alone is clearly less often right: its interval ends at " + fixed(above, 3) + " < " + fixed(below, 3)
                            + ", where cloud's begins", above < below});
  }
  if (split) {
    auto bound = 1.15 * (r.rtt_ms + split->compute_ms_per_token);
    r.promises.push_back({"a token of split costs one round trip: " + fixed(split->tbt_ms, 2) + " ms <= 1.15 x (round trip "
                            + fixed(r.rtt_ms, 2) + " + compute " + fixed(split->compute_ms_per_token, 2) + ") = " + fixed(bound, 2),
                          split->tbt_ms <= bound});
  }
  if (hat)
    r.promises.push_back({"a round trip of hat gives " + fixed(hat->tokens_per_round_trip, 2) + " tokens >= "
                            + fixed(tokens_per_round_trip, 0), hat->tokens_per_round_trip >= tokens_per_round_trip});
}

json::object row_json(const strategy_row& s) {
  auto i = wilson(s.exact);
  return {{"name", s.name}, {"questions", s.exact.asked}, {"failed", s.failed}, {"exact", s.exact.value()},
          {"exact_low", i.low}, {"exact_high", i.high}, {"ttft_ms", s.ttft_ms}, {"tbt_ms", s.tbt_ms},
          {"tokens_per_s", s.tokens_per_s}, {"bytes_up_per_token", s.bytes_up_per_token},
          {"bytes_down_per_token", s.bytes_down_per_token}, {"compute_ms_per_token", s.compute_ms_per_token},
          {"tokens", s.tokens}, {"answers_of_40_tokens_or_more", s.long_answers},
          {"tokens_per_round_trip", s.tokens_per_round_trip}, {"texts_of_cloud", s.identical}};
}

json::object text_json(const asked& a, const std::string& strategy, const std::string& prompt) {
  json::object o{{"question", a.question}, {"strategy", strategy}, {"node", a.node}, {"prompt", prompt}};
  if (!a.error.empty()) {
    o["error"] = a.error;
    return o;
  }
  o["text"] = a.answer.text;
  o["sha256"] = sha256(a.answer.text);
  o["tokens"] = a.answer.tokens;
  o["ttft_ms"] = a.answer.client_ttft_ms;
  o["total_ms"] = a.answer.client_total_ms;
  o["exact"] = a.exact;
  return o;
}

} // namespace

bool demo_report::all_hold() const {
  return std::all_of(promises.begin(), promises.end(), [](const promise& p) { return p.holds; });
}

demo_report make_report(const std::vector<demo_answers>& answers, double rtt_ms) {
  demo_report r;
  r.rtt_ms = rtt_ms;
  for (const auto& a : answers)
    r.strategies.push_back(make_row(a));
  compare_texts(r, answers);
  make_promises(r);
  return r;
}

void print_report(std::ostream& out, const demo_report& r) {
  std::vector<std::vector<std::string>> rows{
    {"strategy", "n", "exact [95 %]", "first token ms", "per token ms", "tokens/s", "up B/token", "down B/token"}};
  for (const auto& s : r.strategies)
    rows.push_back({s.name, std::to_string(s.exact.asked), with_interval(s.exact), fixed(s.ttft_ms, 1), fixed(s.tbt_ms, 2),
                    fixed(s.tokens_per_s, 1), fixed(s.bytes_up_per_token, 0), fixed(s.bytes_down_per_token, 0)});
  out << "\n";
  print_table(out, rows);
  out << "\n";
  for (const auto& p : r.promises)
    out << (p.holds ? "  holds    " : "  BROKEN   ") << p.text << "\n";
}

std::string report_json(const demo_report& r, const std::vector<demo_answers>& answers,
                        const std::vector<models::world::question>& questions) {
  json::array rows, promises, texts;
  for (const auto& s : r.strategies)
    rows.push_back(row_json(s));
  for (const auto& p : r.promises)
    promises.push_back({{"text", p.text}, {"holds", p.holds}});
  for (const auto& s : answers)
    for (const auto& a : s.all)
      texts.push_back(text_json(a, s.strategy, questions[a.question].prompt));
  auto identical = [&](const char* name) {
    const auto* s = find(r, name);
    return s && s->exact.asked > 0 && s->identical == s->exact.asked;
  };
  return json::serialize(json::object{{"strategies", std::move(rows)},
                                      {"identical_split_cloud", identical("split")},
                                      {"identical_hat_cloud", identical("hat")},
                                      {"rtt_ms", r.rtt_ms},
                                      {"seconds", r.seconds},
                                      {"promises", std::move(promises)},
                                      {"texts", std::move(texts)}}) + "\n";
}

} // namespace virga::deploy
