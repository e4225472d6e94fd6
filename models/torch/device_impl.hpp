// models/torch/device_impl.hpp: devices by name, and moving numbers between a device and the host without waiting.
// Private to models/torch.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/Stream.h>

#include <span>
#include <string>

namespace virga::models::torch_impl {

/// @param name "cpu" or "cuda:N" @throws bad_model for other names, a build without CUDA, and devices that are not
/// there
at::Device device_named(const std::string& name);

/// A stream of the shard's own: a device's default stream cannot be recorded.
c10::Stream new_stream(at::Device device);

/// Waits for the stream after an error. A GPU that failed answers every later call of the process with the same error,
/// so the process ends with a sentence, and whoever watches over it starts another.
void end_if_lost(const c10::Stream& stream) noexcept;

/// Room in the host's memory for what goes to or comes from the device; page-locked where that makes copies
/// asynchronous.
at::Tensor host_room(at::IntArrayRef sizes, at::ScalarType type, at::Device device);

/// The same numbers on the host, once the stream is waited for. On the CPU: `from`.
at::Tensor to_host(const at::Tensor& from);

/// A list on the device.
at::Tensor to_device(std::span<const std::int64_t> numbers, at::Device device);

} // namespace virga::models::torch_impl
