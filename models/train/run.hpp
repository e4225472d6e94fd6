// models/train/run.hpp: a whole training run in one folder: resume, steps, loss curve, checkpoints, the finished model.
//   OUT/checkpoint.bin   while it runs; removed when the model is written
//   OUT/training.csv     step, tokens, wall and processor seconds, losses and rate, every 100 steps
//   OUT/...              the Hugging Face folder, at the end
#pragma once

#include "models/train/trainer.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace virga::models::train {

struct run_options {
  double checkpoint_seconds = 60;
  std::uint64_t stop_after_steps = 0;  ///< of this call; 0: until done. The checkpoint is then written
  std::function<void(const progress&)> report = [](const progress&) {};  ///< after every step
};

/// Runs or resumes the steps, for any kind of run. @returns true when they are done: then the checkpoint of the end is left,
/// for the caller to remove once the result is written
/// @throws std::runtime_error when the checkpoint is of another run
bool run_steps(stepwise& t, const std::filesystem::path& out, const run_options& options);

/// Runs or resumes. @returns true when the model is finished and written
/// @throws std::runtime_error when OUT already holds a finished model, or the checkpoint is of another recipe
bool run(trainer& t, const std::filesystem::path& out, const run_options& options);

/// "[#####.....]  50 %  loss 0.0312  15.2k tokens/s  ETA 7:10".
std::string progress_line(const progress& p);

/// Once per process, before the first trainer: no denormal numbers, memory kept between steps.
/// @param threads of torch; one by default, since two gave no gain at the zoo's sizes. 0: as the environment says
void prepare_process(int threads = 1);

/// Measured speed of a 512 x 512 x 512 product, in GFLOP/s. Under 20 the BLAS is too slow to train with in reasonable time.
double product_speed(product_type products);

} // namespace virga::models::train
