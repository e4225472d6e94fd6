// models/torch/replays_impl.hpp: steps of a few shapes that are run again and again. On a GPU the second step of a
// shape is recorded as a CUDA graph (cuda_graphs.cpp) and later ones replay it; elsewhere its work is called again.
// Either way a step's numbers are copied to one place first, and nothing else may differ between two steps of a shape.
// Private to models/torch.
#pragma once

#include "models/torch/step_plan_impl.hpp"

#include <functional>
#include <map>
#include <memory>

namespace virga::models::torch_impl {

struct step_output {
  std::vector<at::Tensor> rows;  ///< by step_shape::taps, [rows, hidden]
  at::Tensor logits;             ///< [scored, vocab]
};

/// @param numbers as step_numbers reads them @param rows [rows, hidden], undefined where tokens come in; both on the
/// device
using step_work = std::function<step_output(const at::Tensor& numbers, const at::Tensor& rows)>;

/// Work of which the device knows every kernel and every address.
class recording {
public:
  virtual ~recording() = default;
  virtual void replay() = 0;
};

class recorder {
public:
  virtual ~recorder() = default;
  /// Runs `work` without executing it. The current stream must not be the device's default one. @throws c10::Error
  virtual std::unique_ptr<recording> record(const std::function<void()>& work) = 0;
};

/// nullptr where nothing can be recorded: on the CPU, in a build without CUDA, with VIRGA_CUDA_GRAPHS=0 in the
/// environment.
std::unique_ptr<recorder> make_recorder(at::Device device);

class replays {
public:
  replays(at::Device device, std::unique_ptr<recorder> graphs, std::size_t most);

  /// @param numbers, rows in the host's memory @param work kept for later steps of this shape, so it holds nothing of
  /// this one
  /// @returns valid until the next call
  const step_output& run(const step_shape& shape, const at::Tensor& numbers, const at::Tensor& rows, step_work work);

  std::size_t recorded() const { return recorded_; }  ///< graphs made so far

private:
  struct entry {
    step_work work;
    at::Tensor numbers, rows;  ///< read by the work
    step_output output;
    std::unique_ptr<recording> graph;
    std::uint64_t last_use = 0;
    bool warm = false;
  };

  entry& entry_of(const step_shape& shape, const at::Tensor& numbers, const at::Tensor& rows, step_work work);
  void record(entry& e);
  at::Tensor place(std::size_t index, const at::Tensor& like);

  at::Device device_;
  std::unique_ptr<recorder> graphs_;
  std::size_t most_, recorded_ = 0;
  std::uint64_t uses_ = 0;
  std::map<step_shape, entry> entries_;
  std::vector<at::Tensor> places_;  ///< of logits, then of rows by tap, all of one width each
};

} // namespace virga::models::torch_impl
