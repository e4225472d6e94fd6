// libFuzzer over one .safetensors file: whatever its bytes, it is mapped with every view inside it, or refused.
#include "models/hf/safetensors.hpp"
#include "models/shard.hpp"

#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

using namespace virga;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = ::memfd_create("fuzz", 0);
  static const auto name = "/proc/self/fd/" + std::to_string(file);
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, data, size, 0) != static_cast<ssize_t>(size))
    std::abort();
  try {
    models::hf::safetensors_file opened(name);
    std::uint64_t sum = 0;
    for (auto& [tensor, view] : opened.tensors())
      if (!view.data.empty())
        sum += static_cast<std::uint64_t>(view.data.front()) + static_cast<std::uint64_t>(view.data.back());
    if (sum == UINT64_MAX)
      std::abort();
  } catch (const models::bad_model&) {
  }
  return 0;
}
