// deploy/bench/hat_run.hpp: asks a deployment of `hat_deployment` the same questions with several strategies, which
// take turns.
#pragma once

#include "deploy/bench/hat_deployment.hpp"
#include "deploy/bench/hat_row.hpp"

#include <string>
#include <vector>

namespace virga::deploy {

class hat_run {
public:
  /// @param at must outlive this @param max_tokens of each answer
  hat_run(const models::world::world& w, std::vector<models::world::question> questions, const hat_deployment& at,
          std::uint32_t max_tokens);

  /// Every question with every strategy: all devices at once with one strategy, then with the next. A first block is
  /// not counted.
  /// @returns a row for each strategy, compared with each other @throws failed when an answer fails
  std::vector<hat_row> rows(const std::string& model, double rtt_ms, const std::vector<std::string>& strategies);

private:
  void block(std::vector<hat_row>& rows, std::size_t first, bool warm_up, std::size_t turn = 0);
  std::vector<hat_answer> ask_all(const std::string& strategy, std::size_t first) const;
  question request(const models::world::question& from, const std::string& strategy, std::uint16_t port) const;

  const models::world::world& world_;
  std::vector<models::world::question> questions_;
  const hat_deployment& at_;
  std::uint32_t max_tokens_;
};

} // namespace virga::deploy
