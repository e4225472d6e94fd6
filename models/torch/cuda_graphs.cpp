// The one file of the shards that needs CUDA's headers.
#include "models/torch/replays_impl.hpp"

#ifdef VIRGA_CUDA

#include <ATen/cuda/CUDAGraph.h>

#include <cstdlib>
#include <string_view>

namespace virga::models::torch_impl {

namespace {

struct cuda_recording final : recording {
  void replay() override { graph.replay(); }
  at::cuda::CUDAGraph graph;
};

/// Leaves the stream usable. The first error is the one to tell.
void end_failed(at::cuda::CUDAGraph& graph) noexcept {
  try {
    graph.capture_end();
  } catch (...) {}
}

/// All graphs of a shard share one pool: they run one after the other, and nothing in it outlives a replay.
class cuda_recorder final : public recorder {
public:
  std::unique_ptr<recording> record(const std::function<void()>& work) override {
    auto made = std::make_unique<cuda_recording>();
    constexpr auto mode = cudaStreamCaptureModeThreadLocal;  // other engines' threads may allocate meanwhile
    made->graph.capture_begin(pool_, mode);
    try {
      work();
      made->graph.capture_end();
    } catch (...) {
      end_failed(made->graph);
      made.release();  // libtorch's allocators may go on asking it which streams it records; a shard has one at most
      throw;
    }
    return made;
  }

private:
  c10::MempoolId_t pool_ = at::cuda::graph_pool_handle();
};

} // namespace

std::unique_ptr<recorder> make_recorder(at::Device device) {
  auto* wanted = std::getenv("VIRGA_CUDA_GRAPHS");
  if (!device.is_cuda() || (wanted && wanted == std::string_view("0")))
    return nullptr;
  return std::make_unique<cuda_recorder>();
}

} // namespace virga::models::torch_impl

#else

namespace virga::models::torch_impl {

std::unique_ptr<recorder> make_recorder(at::Device) { return nullptr; }

} // namespace virga::models::torch_impl

#endif
