// deploy/demo_run.hpp: asks a running deployment the same questions with each strategy, over HTTP, and keeps everything
// that came back.
#pragma once

#include "deploy/ask.hpp"
#include "models/world/question.hpp"

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace virga::deploy {

/// One question asked with one strategy.
struct asked {
  std::size_t question = 0;  ///< index into demo_questions::all
  std::string node;          ///< whose gateway was asked
  reply answer;              ///< empty text when it failed
  bool exact = false;
  std::string error;         ///< one sentence; empty: it was answered
};

struct demo_gateway {
  std::string node;
  std::uint16_t port = 0;
};

struct demo_options {
  std::vector<std::string> strategies{"cloud", "edge", "split", "hat"};
  std::vector<demo_gateway> gateways;
  std::uint32_t clients_per_gateway = 2;
  std::uint32_t block = 20;  ///< questions asked with one strategy before the next has its turn
  std::uint32_t max_tokens = 160;
};

/// One strategy's answers, in the order of the questions.
struct demo_answers {
  std::string strategy;
  std::vector<asked> all;
};

/// Asks each question with each strategy, as separate requests. The strategies take turns in blocks, so that a machine that
/// gets slower or faster does so for all; the gateways and clients work at the same time.
/// @param progress (questions done, of how many) after each block
std::vector<demo_answers> ask_all(const models::world::world& w, const std::vector<models::world::question>& questions,
                                  const demo_options& options,
                                  const std::function<void(std::size_t, std::size_t)>& progress);

} // namespace virga::deploy
