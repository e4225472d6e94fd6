// models/train/stepwise.hpp: a training run as its folder sees it (run.hpp): steps, progress, checkpoint.
#pragma once

#include "models/train/net.hpp"

#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

namespace virga::models::train {

struct progress {
  std::uint64_t step = 0, steps = 0, tokens = 0;
  step_loss loss;                ///< smoothed over about 50 steps
  double tokens_per_second = 0;
  double seconds = 0;            ///< of wall time in training steps, over all resumed parts
  double processor_seconds = 0;  ///< of this process in training steps, over all resumed parts
  double seconds_left = 0;
  bool resumed = false;

  /// The new mean after one more value, which counts a fiftieth, and more in the first steps.
  double smooth(double mean, double value) const;
};

/// One figure of training.csv.
struct named_value {
  std::string name;
  double value = 0;
};

/// A run is a function of its options: what a step sees depends on its number only, so a killed and resumed run ends as
/// an unbroken one.
class stepwise {
public:
  virtual ~stepwise() = default;

  virtual const progress& state() const = 0;
  bool finished() const { return state().step >= state().steps; }

  /// One step: batch, loss, update.
  virtual void step() = 0;

  /// Its own columns of training.csv, always the same ones.
  virtual std::vector<named_value> losses() const = 0;

  /// Everything needed to go on. Written beside `file` and renamed, so a kill leaves the last whole one.
  virtual void save(const std::filesystem::path& file) const = 0;

  /// Goes on from `file`. @throws std::runtime_error when it is damaged or of another run, saying which field
  virtual void load(const std::filesystem::path& file) = 0;
};

/// The time of one step, which begins with the clock.
class step_clock {
public:
  /// Counts the step, its tokens and its time.
  void count_into(progress& p, std::uint64_t tokens) const;

private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::clock_t processor_start_ = std::clock();
};

} // namespace virga::models::train
