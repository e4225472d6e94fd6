// models/train/adapter_trainer.hpp: a training run of one adapter. Everything but the adapter is frozen.
#pragma once

#include "models/train/adamw.hpp"
#include "models/train/adapter_data.hpp"
#include "models/train/adapter_features.hpp"
#include "models/train/run.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace virga::models::train {

struct adapter_recipe {
  std::uint32_t split = 1;       ///< decoder layers below the adapter
  std::uint64_t seed = 1;        ///< of weights and batches
  std::uint64_t tokens = 0;      ///< to see; 0: the fresh adapter, for comparison
  double peak_rate = 0;          ///< 0: default_rate()
  std::uint64_t warmup = 200;    ///< steps; at most a tenth of the run
  std::uint32_t batch_tokens = 3072;
  loss_weights weights{};
};

/// 3e-3 at width 160, as the models of the zoo have it, and falling with the width: 1.2e-4 at 4096.
double default_rate(std::uint32_t hidden);

class adapter_trainer final : public stepwise {
public:
  /// All three must outlive the trainer.
  adapter_trainer(const hf::model_folder& base, adapter_recipe r, adapter_features& features, adapter_data& data);

  const hf::model_folder& base() const { return base_; }
  const adapter_recipe& how() const { return recipe_; }
  adapter_net& net() { return *net_; }

  const progress& state() const override { return state_; }
  void step() override;
  std::vector<named_value> losses() const override;
  void save(const std::filesystem::path& file) const override;
  void load(const std::filesystem::path& file) override;

  /// Of the smoothed training loss.
  const adapter_loss& loss() const { return loss_; }

  /// Over the data's held-out examples; mean over their places.
  adapter_loss held_out_loss();

private:
  std::string fingerprint() const;

  const hf::model_folder& base_;
  adapter_recipe recipe_;
  adapter_features& features_;
  adapter_data& data_;
  std::unique_ptr<adapter_net> net_;
  std::unique_ptr<adamw> optimiser_;
  progress state_;
  adapter_loss loss_;
};

/// Runs or resumes, and writes the adapter's folder. @returns true when the adapter is finished and written
/// @throws std::invalid_argument when OUT already holds an adapter; std::runtime_error when the checkpoint is of
/// another run
bool run(adapter_trainer& t, const std::filesystem::path& out, const run_options& options);

/// @throws std::invalid_argument when `out` already holds an adapter
void check_free(const std::filesystem::path& out);

} // namespace virga::models::train
