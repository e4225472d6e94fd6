#include "models/torch/device_impl.hpp"

#include "models/make_shard.hpp"
#include "models/memory.hpp"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace virga::models {

namespace torch_impl {

namespace {

/// N of "cuda:N"; -1 for anything else.
int cuda_index(const std::string& name) {
  constexpr std::string_view kind = "cuda:";
  if (!name.starts_with(kind))
    return -1;
  int index = -1;
  auto end = name.data() + name.size();
  auto read = std::from_chars(name.data() + kind.size(), end, index);
  return read.ec == std::errc{} && read.ptr == end && index >= 0 && index <= 127 ? index : -1;
}

#ifdef VIRGA_CUDA
void check_cuda(const std::string& name, int index) {
  auto count = static_cast<int>(at::getNumGPUs());
  if (count == 0)
    throw bad_model("device " + name
                    + ": this machine has no CUDA device that its driver shows (nvidia-smi lists them): take device "
                      "cpu, or run this node where there is one");
  if (index >= count)
    throw bad_model("device " + name + ": this machine has " + std::to_string(count)
                    + ", up to cuda:" + std::to_string(count - 1) + ": take one of those");
  at::globalContext().lazyInitDevice(at::kCUDA);
  at::globalContext().setAllowBF16ReductionCuBLAS(false);  // sums stay f32
  at::globalContext().setSDPUseCuDNN(false);               // it plans for every shape anew, and prompts have many
}
#else
void check_cuda(const std::string& name, int) {
  throw bad_model("device " + name
                  + ": this virga was built without CUDA: build it with `make cuda` (docs/deploying.md, On a GPU), or "
                    "take device cpu");
}
#endif

} // namespace

at::Device device_named(const std::string& name) {
  if (name == "cpu")
    return at::kCPU;
  if (auto wrong = device_complaint(name); !wrong.empty())
    throw bad_model(wrong);
  auto index = cuda_index(name);
  check_cuda(name, index);
  return {at::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

c10::Stream new_stream(at::Device device) {
  const c10::impl::VirtualGuardImpl made(device.type());
  return device.is_cpu() ? made.getStream(device) : made.getStreamFromGlobalPool(device);
}

void end_if_lost(const c10::Stream& stream) noexcept {
  try {
    stream.synchronize();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s failed and takes no more work from this process, which ends now: %s\n",
                 stream.device().str().c_str(), e.what());
    std::_Exit(1);
  }
}

at::Tensor host_room(at::IntArrayRef sizes, at::ScalarType type, at::Device device) {
  return at::empty(sizes, at::TensorOptions(type).pinned_memory(!device.is_cpu()));
}

at::Tensor to_host(const at::Tensor& from) {
  if (from.device().is_cpu())
    return from;
  return host_room(from.sizes(), from.scalar_type(), from.device()).copy_(from, true);
}

at::Tensor to_device(std::span<const std::int64_t> numbers, at::Device device) {
  auto out = host_room({static_cast<std::int64_t>(numbers.size())}, at::kLong, device);
  std::ranges::copy(numbers, out.mutable_data_ptr<std::int64_t>());
  return device.is_cpu() ? out : out.to(device, at::kLong, true);
}

} // namespace torch_impl

std::string device_complaint(const std::string& name) {
  return name == "cpu" || torch_impl::cuda_index(name) >= 0
             ? ""
             : "device `" + name + "`: known are cpu and cuda:N, N counted from 0";
}

std::uint64_t free_memory_on(const std::string& name) {
  auto device = torch_impl::device_named(name);
  return device.is_cpu() ? free_memory() : at::getDeviceAllocator(device.type())->getMemoryInfo(device.index()).first;
}

} // namespace virga::models
