#include "models/train/score.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace virga::models::train {

namespace {

constexpr std::size_t batch_examples = 32;

segment whole_prefix(sequence seq, const example& e, std::uint32_t last_stage) {
  segment s;
  s.seq = seq;
  s.last_stage = last_stage;
  s.tokens.assign(e.ids.begin(), e.ids.end() - 1);
  s.want.logits = rows_wanted::all;
  return s;
}

std::vector<float> row_of(const tensor& logits, std::uint32_t row) {
  std::vector<float> values(logits.cols);
  if (logits.type == dtype::f32) {
    std::memcpy(values.data(), logits.data.data() + std::size_t{row} * logits.cols * 4, values.size() * 4);
    return values;
  }
  if (logits.type != dtype::f64) {
    throw std::runtime_error("Scoring needs logits in f32 or f64.");
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    double wide = 0;
    std::memcpy(&wide, logits.data.data() + (std::size_t{row} * logits.cols + i) * 8, 8);
    values[i] = static_cast<float>(wide);
  }
  return values;
}

std::vector<scored_example> score_batch(shard& model, std::span<const example> examples) {
  const auto last = static_cast<std::uint32_t>(model.info().stages.size() - 1);
  std::vector<segment> batch;
  for (const auto& e : examples) {
    batch.push_back(whole_prefix(model.open(), e, last));
  }
  const auto results = model.step(batch);
  std::vector<scored_example> scores;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const auto& ids = examples[i].ids;
    scored_example s(ids.size());
    for (std::uint32_t at = 1; at < ids.size(); ++at) {
      s[at] = score_row(row_of(results[i].logits, at - 1), ids[at]);
    }
    scores.push_back(std::move(s));
    model.close(batch[i].seq);
  }
  return scores;
}

} // namespace

token_score score_row(std::span<const float> logits, token_id target) {
  const auto best = std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (auto l : logits) {
    sum += std::exp(static_cast<double>(l) - *best);
  }
  return {static_cast<token_id>(best - logits.begin()) == target, logits[target] - *best - std::log(sum),
          -std::log(sum)};
}

bool exact(const example& e, const scored_example& s) {
  return std::all_of(s.begin() + static_cast<std::ptrdiff_t>(e.answer), s.end(),
                     [](const token_score& t) { return t.best; });
}

scorer score_with(shard& model) {
  return [&model](std::span<const example> examples) {
    std::vector<scored_example> all;
    for (std::size_t at = 0; at < examples.size(); at += batch_examples) {
      auto some = score_batch(model, examples.subspan(at, std::min(batch_examples, examples.size() - at)));
      std::move(some.begin(), some.end(), std::back_inserter(all));
    }
    return all;
  };
}

} // namespace virga::models::train
