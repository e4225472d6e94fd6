// tests/sim/sim_models.hpp: the models of the simulated world, and what they say when nothing breaks.
#pragma once

#include "models/hf/folder.hpp"
#include "models/tokenizer.hpp"
#include "tests/sim/history.hpp"

#include <memory>

namespace virga::testing {

/// Shared, read-only, so that a thousand seeds load them once.
class sim_models {
public:
  sim_models();

  /// What a whole model answers, without its stop token.
  std::vector<token_id> greedy(const models::hf::model_folder& folder, const std::vector<token_id>& prompt,
                               std::uint32_t max_tokens) const;

  std::shared_ptr<const models::hf::model_folder> cloud, edge;
  std::shared_ptr<const models::tokenizer> tok;  ///< one word a token: canary and the token's number
  static constexpr const char* canary = "heliotrope-";
  static constexpr std::uint32_t cut = 1;        ///< layers of the cloud's model on the device

private:
  using question = std::pair<const models::hf::model_folder*, std::vector<token_id>>;
  mutable std::map<question, std::vector<token_id>> known_;
};

} // namespace virga::testing
