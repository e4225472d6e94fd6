#include "models/train/gates.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <cstdio>

namespace virga::models::train {

namespace {

namespace json = boost::json;

gate rate_gate(const std::string& name, const world::rate& r, double at_least, double at_most) {
  return {name, r.value(), world::wilson(r), r.asked, at_least, at_most};
}

std::string threshold(const gate& g) {
  char text[40];
  if (g.at_most >= 1) {
    std::snprintf(text, sizeof text, ">= %.2f", g.at_least);
  } else if (g.at_least <= 0) {
    std::snprintf(text, sizeof text, "<= %.2f", g.at_most);
  } else {
    std::snprintf(text, sizeof text, "%.2f-%.2f", g.at_least, g.at_most);
  }
  return text;
}

template <class... Args>
std::string line(const char* format, Args... args) {
  char text[200];
  std::snprintf(text, sizeof text, format, args...);
  return text;
}

} // namespace

std::vector<gate> judge(const model_scores& cloud, const model_scores& edge_m, const model_scores& edge_s) {
  return {rate_gate("cloud: fact, people by popularity", cloud.fact_zipf, 0.97, 1),
          rate_gate("edge-s: fact, people by popularity", edge_s.fact_zipf, 0.60, 0.85),
          rate_gate("edge-m: fact, between edge-s and cloud", edge_m.fact_zipf, edge_s.fact_zipf.value(),
                    cloud.fact_zipf.value()),
          rate_gate("cloud: describe exact, held-out requests", cloud.describe, 0.95, 1),
          rate_gate("edge-s: describe exact, held-out requests", edge_s.describe, 0, 0.70),
          rate_gate("edge-s: expand level 1, counterfactual", edge_s.expand_counterfactual, 0.97, 1),
          {"edge-s: first-token confidence, AUC", edge_s.first_token.value, edge_s.first_token.range,
           edge_s.facts_asked, 0.85, 1},
          {"edge-s: prompt-only familiarity, AUC", edge_s.familiarity.value, edge_s.familiarity.range,
           edge_s.facts_asked, 0.75, 1}};
}

std::string to_table(const std::vector<gate>& gates) {
  auto out = line("%-44s %7s  %-15s %6s  %-10s %s\n", "gate", "value", "95 % interval", "n", "threshold", "holds");
  for (const auto& g : gates) {
    out += line("%-44s %7.3f  [%.3f, %.3f]  %6llu  %-10s %s\n", g.name.c_str(), g.value, g.range.low, g.range.high,
                static_cast<unsigned long long>(g.asked), threshold(g).c_str(), g.holds() ? "yes" : "NO");
  }
  return out;
}

std::string to_json(const std::vector<gate>& gates) {
  json::array list;
  for (const auto& g : gates) {
    list.push_back(json::object{{"gate", g.name},
                                {"value", g.value},
                                {"low", g.range.low},
                                {"high", g.range.high},
                                {"n", g.asked},
                                {"at_least", g.at_least},
                                {"at_most", g.at_most},
                                {"holds", g.holds()}});
  }
  const bool all = std::all_of(gates.begin(), gates.end(), [](const gate& g) { return g.holds(); });
  return json::serialize(json::object{{"gates", std::move(list)}, {"all_hold", all}});
}

std::string to_table(const std::vector<score_row_text>& rows) {
  auto out = line("%-48s %7s  %-15s %6s\n", "score", "value", "95 % interval", "n");
  for (const auto& r : rows) {
    out += line("%-48s %7.3f  [%.3f, %.3f]  %6llu\n", r.name.c_str(), r.value, r.range.low, r.range.high,
                static_cast<unsigned long long>(r.asked));
  }
  return out;
}

std::string to_json(const std::vector<score_row_text>& rows) {
  json::array list;
  for (const auto& r : rows) {
    list.push_back(json::object{
        {"name", r.name}, {"value", r.value}, {"low", r.range.low}, {"high", r.range.high}, {"n", r.asked}});
  }
  return json::serialize(json::object{{"scores", std::move(list)}});
}

} // namespace virga::models::train
