#include "models/kernels/kernels.hpp"

namespace virga::models::kernels {

namespace {

constexpr std::uint64_t line = 64;

const kernel_set* used = nullptr;

std::uint64_t whole_lines(std::uint64_t bytes) { return (bytes + line - 1) / line * line; }

std::uint32_t blocks_of(const packed_shape& s) {
  return s.type == dtype::int8 || s.type == dtype::int4 ? s.padded_inputs() / block_inputs : 0;
}

std::uint64_t value_bytes(const packed_shape& s, std::uint32_t rows) {
  return whole_lines(std::uint64_t{rows} * s.padded_inputs()
                     * (s.type == dtype::f32    ? 4
                        : s.type == dtype::bf16 ? 2
                                                : 1));
}

} // namespace

head_place page_layout::place(std::uint32_t head) const {
  const std::uint64_t one = dim * page_positions * size_of(type), scale = page_positions * sizeof(float),
                      side = heads * one;
  return {head * one, side + head * one, 2 * side + head * scale, 2 * side + (heads + head) * scale};
}

std::uint64_t page_layout::bytes() const {
  return type == dtype::i8_rows ? place(0).key_scales + std::uint64_t{2} * heads * page_positions * sizeof(float)
                                : place(heads).values;
}

std::uint32_t page_layout::key_at(std::uint32_t position, std::uint32_t d) const {
  return type == dtype::bf16 ? (d / 2 * page_positions + position) * 2 + d % 2 : d * page_positions + position;
}

std::uint32_t page_layout::value_at(std::uint32_t position, std::uint32_t d) const {
  return type == dtype::bf16 ? (position / 2 * dim + d) * 2 + position % 2 : position * dim + d;
}

std::uint64_t attention_room(std::uint32_t dim, std::uint64_t pages) {
  return queries_at_once * (pages * page_positions + dim);
}

std::uint64_t prepared_bytes(const packed_shape& s, std::uint32_t rows) {
  if (s.type == dtype::f32)
    return 0;
  return value_bytes(s, rows) + 2 * whole_lines(std::uint64_t{rows} * blocks_of(s) * 4);
}

prepared_rows places(const packed_shape& s, std::uint32_t rows, void* room) {
  prepared_rows out{room, nullptr, nullptr, s.padded_inputs(), blocks_of(s)};
  auto* scales = static_cast<std::byte*>(room) + (s.type == dtype::f32 ? 0 : value_bytes(s, rows));
  out.scales = reinterpret_cast<const float*>(scales);
  out.zeros = reinterpret_cast<const std::int32_t*>(scales + whole_lines(std::uint64_t{rows} * out.blocks * 4));
  return out;
}

std::vector<const kernel_set*> kernels_here() {
  std::vector<const kernel_set*> out;
  for (auto* k : {&avx512_kernels, &avx2_kernels, &plain_kernels})
    if (k->runs_here())
      out.push_back(k);
  return out;
}

const kernel_set& best_kernels() {
  static const auto& best = *kernels_here().front();
  return used ? *used : best;
}

void use_kernels(const kernel_set* set) { used = set; }

} // namespace virga::models::kernels
