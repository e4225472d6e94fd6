#include "models/torch/big_pages_impl.hpp"

#include <sys/mman.h>

namespace virga::models::torch_impl {

at::Tensor in_big_pages(std::int64_t bytes) {
  constexpr std::int64_t big_page = 2 << 20;
  if (bytes < big_page)
    return at::empty({bytes}, at::kByte);
  const auto size = static_cast<std::size_t>(bytes), room = size + static_cast<std::size_t>(big_page);
  void* all = ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TORCH_CHECK(all != MAP_FAILED, "no memory for ", bytes, " bytes of weights");
  auto begin = (reinterpret_cast<std::uintptr_t>(all) + big_page - 1) / big_page * big_page;
  ::madvise(reinterpret_cast<void*>(begin), size, MADV_HUGEPAGE);  // a wish: small pages do as well
  return at::from_blob(reinterpret_cast<void*>(begin), {bytes}, [all, room](void*) { ::munmap(all, room); },
                       at::TensorOptions(at::kByte));
}

} // namespace virga::models::torch_impl
