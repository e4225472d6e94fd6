// models/train/trainer.hpp: a training run from a recipe: batches, steps, progress, checkpoint, resume.
// A run is a function of its recipe: batches depend on (seed, step) only, so a killed and resumed run sees the same data.
#pragma once

#include "models/train/adamw.hpp"
#include "models/train/net.hpp"
#include "models/train/stepwise.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace virga::models::train {

struct recipe {
  std::string name;  ///< "cloud", "edge-m", "edge-s"
  net_shape shape;
  std::uint64_t world_seed = world::default_world_seed;
  std::uint32_t people = world::default_people;
  std::uint64_t seed = 1;        ///< of weights and batches
  std::uint64_t tokens = 0;      ///< to see, padding not counted
  double peak_rate = 3e-3;
  std::uint64_t warmup = 200;    ///< steps
  std::uint32_t rows = 24, width = 128;
  double prompt_weight = 0.1;
  product_type products = product_type::f32;
};

/// The shipped recipes by name. @throws std::invalid_argument for another name, listing the known ones
recipe named_recipe(const std::string& name);

/// Greedy decoding gives the reference exactly when every position of the teacher-forced answer has it as its best token,
/// so one pass per example decides.
struct exact_count {
  std::uint64_t right = 0, asked = 0;
};

class trainer final : public stepwise {
public:
  explicit trainer(recipe r);

  const recipe& how() const { return recipe_; }
  net& model() { return *net_; }
  const world::world& where() const { return world_; }
  const world::vocabulary& words() const { return words_; }

  const progress& state() const override { return state_; }
  void step() override;
  std::vector<named_value> losses() const override;
  void save(const std::filesystem::path& file) const override;
  void load(const std::filesystem::path& file) override;

  /// Exact answers by task kind on questions of the split.
  std::map<world::task_kind, exact_count> evaluate(world::split s, std::uint64_t seed, std::uint32_t questions);

private:
  recipe recipe_;
  world::world world_;
  world::vocabulary words_;
  std::unique_ptr<net> net_;
  std::unique_ptr<adamw> optimiser_;
  packer packer_;
  progress state_;
};

} // namespace virga::models::train
