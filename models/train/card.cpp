#include "models/train/card.hpp"

#include <cstdio>
#include <fstream>

namespace virga::models::train {

namespace {

template <class... Args>
std::string line(const char* format, Args... args) {
  char text[400];
  std::snprintf(text, sizeof text, format, args...);
  return text;
}

unsigned long long big(std::uint64_t n) { return n; }

std::uint64_t parameter_count(const net_shape& s) {
  const std::uint64_t q = std::uint64_t{s.heads} * s.head_dim, kv = std::uint64_t{s.kv_heads} * s.head_dim;
  const auto layer = s.hidden * (2 * q + 2 * kv + 3 * std::uint64_t{s.intermediate} + 2);
  return std::uint64_t{s.vocab} * s.hidden + s.layers * layer + s.hidden;
}

std::string shape_table(const recipe& r) {
  const auto& s = r.shape;
  return line("| layers | %u |\n| width | %u |\n| heads | %u of %u |\n| SwiGLU width | %u |\n", s.layers, s.hidden,
              s.heads, s.head_dim, s.intermediate)
         + line("| vocabulary | %u words, one token each |\n| parameters | %llu (embedding tied) |\n", s.vocab,
                big(parameter_count(s)));
}

std::string training_table(const recipe& r, const progress& p, const card_facts& facts) {
  return line("| world | seed %llu, %u people |\n| seed of weights and batches | %llu |\n", big(r.world_seed), r.people,
              big(r.seed))
         + line("| tokens seen | %llu in %llu steps of %u rows of %u |\n", big(p.tokens), big(p.step), r.rows, r.width)
         + line("| time | %.1f minutes of wall time, of which %.1f minutes of processor time; one thread |\n",
                p.seconds / 60, p.processor_seconds / 60)
         + line("| machine | %s |\n", facts.machine.c_str())
         + line("| arithmetic | %s matrix products, f32 weights and optimiser |\n",
                r.products == product_type::bf16 ? "bf16" : "f32")
         + line("| optimiser | AdamW (0.9, 0.98), decay 0.01, clip 1, peak rate %g, warm-up %llu steps, constant to "
                "60 %%, then linear to 2 %% |\n",
                r.peak_rate, big(r.warmup))
         + line("| last loss | %.4f on answer tokens, %.4f on prompt tokens |\n", p.loss.answer, p.loss.prompt);
}

} // namespace

std::string score_table(const std::vector<score_row_text>& rows) {
  std::string out = "| score | value | 95 % interval | n |\n|---|---|---|---|\n";
  for (const auto& r : rows) {
    out += line("| %s | %.3f | %.3f to %.3f | %llu |\n", r.name.c_str(), r.value, r.range.low, r.range.high, big(r.asked));
  }
  return out;
}

std::string model_card(const recipe& r, const progress& p, const model_scores& scores, const card_facts& facts) {
  std::string out = "# " + r.name + "\n\n";
  out += "A Llama-shaped decoder that knows a generated world of people (`models/world/`). It answers the world's own "
         "question forms and nothing else: it serves to measure how a large and a small model work together, and says "
         "nothing about quality on real questions. All words, facts and weights were made by this project; there is no "
         "outside data in it. Licence: that of the repository.\n\n";
  out += "## Shape\n\n| | |\n|---|---|\n" + shape_table(r) + "\n";
  out += "## Training\n\n    " + facts.command + "\n\n| | |\n|---|---|\n" + training_table(r, p, facts) + "\n";
  out += "The loss curve is `training.csv`. Every model of the zoo sees the same mixture of tasks; the smaller ones see "
         "at least as many tokens.\n\n";
  out += "## Scores\n\n"
         + line("Greedy answers, right only when identical to the reference, on the %s split (seed %llu). Facts are seen "
                "in training; requests, people and pairs are held out as named. Intervals: Wilson for rates, Hanley "
                "and McNeil for AUC.\n\n",
                std::string(world::to_string(facts.split)).c_str(), big(facts.question_seed));
  out += score_table(scores.rows());
  return out;
}

std::string machine_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string text; std::getline(info, text);) {
    if (text.starts_with("model name")) {
      const auto at = text.find(": ");
      return at == std::string::npos ? "unknown CPU" : text.substr(at + 2);
    }
  }
  return "unknown CPU";
}

} // namespace virga::models::train
