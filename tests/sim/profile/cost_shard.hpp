// tests/sim/profile/cost_shard.hpp: a shard without arithmetic: caches have lengths, rows have the wire's size, steps
// have a cost. Yet every answer can be checked, for a row tells which history it belongs to, and a stage refuses a row
// that does not fit its cache:
//
//   history   h(p) = mix(h(p - 1), token(p)), made by the first layers; a row carries h(p), h(p - 1) and the layers passed
//   target    the token behind p follows from h(p); the head wants rows that have passed all layers, or the adapter
//   adapter   proposes the target's token with the probability that it claims: see paper.hpp, sure_share
#pragma once

#include "models/shard.hpp"
#include "tests/sim/profile/paper.hpp"

#include <map>
#include <memory>

namespace virga::testing {

/// What the steps of one shard have cost. Shared with the engine's charge.
struct step_meter {
  double pending_s = 0;  ///< not charged yet
  double busy_s = 0, square_s = 0;
  std::uint64_t steps = 0, rows = 0;
  double charge();  ///< seconds of the steps since the last charge
  void reset();
};

struct cost_options {
  std::vector<models::stage> stages;
  std::vector<stage_cost> costs;  ///< of each stage
  std::uint32_t model_layers = 0;
  std::uint32_t row_bytes = 0;  ///< as f32
  double sure_share = 0.5;
  double sure_least = 0.6;        ///< of the probability of a sure token, which is evenly in [it, 1)
  std::shared_ptr<step_meter> meter = std::make_shared<step_meter>();
};

class cost_shard final : public models::shard {
public:
  static constexpr std::uint32_t vocab = 32'000, context = 8192;
  static constexpr const char* digest = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";

  explicit cost_shard(cost_options options);

  const models::shard_info& info() const override { return info_; }
  models::sequence open() override;
  models::sequence fork(models::sequence seq, std::uint64_t length) override;
  void truncate(models::sequence seq, std::uint64_t length) override;
  void close(models::sequence seq) override;
  std::uint64_t length(models::sequence seq, std::uint32_t stage_index) const override;
  std::vector<models::segment_result> step(std::span<const models::segment> batch) override;
  /// Memory has no bound here.
  std::uint64_t kv_bytes() const override { return 0; }
  std::uint64_t kv_bytes_limit() const override { return UINT64_MAX; }
  std::uint64_t kv_bytes_for(std::uint64_t) const override { return 0; }
  std::uint64_t kv_bytes_held_by(std::span<const models::sequence>) const override { return 0; }

private:
  struct row {
    std::uint64_t history = 0, before = 0;
    std::uint32_t depth = 0;  ///< layers passed; `adapted` behind an adapter
  };
  using histories = std::vector<std::vector<std::uint64_t>>;  ///< [stage][position]

  histories& held(models::sequence seq);
  std::vector<row> input(const models::segment& s);
  void pass(const models::segment& s, std::uint32_t stage, std::vector<row>& rows);
  tensor rows_of(const std::vector<row>& rows, rows_wanted want) const;
  models::choice choose(const row& r, std::uint32_t alternatives) const;
  models::segment_result run(const models::segment& s);
  double cost(std::span<const models::segment> batch) const;

  cost_options opt_;
  models::shard_info info_;
  std::map<std::uint64_t, histories> open_;
  std::uint64_t last_ = 0;
};

/// What the whole model answers.
std::vector<token_id> target_answer(std::span<const token_id> prompt, std::size_t tokens);

/// A number that looks random, of two.
std::uint64_t mixed(std::uint64_t a, std::uint64_t b);

} // namespace virga::testing
