#include "models/hf/pack.hpp"

#include "models/hf/convert.hpp"

#include <algorithm>

namespace virga::models::hf {

packer::packer(std::vector<tensor_view> parts, dtype to)
    : parts_(std::move(parts)), shape_{to, 0, static_cast<std::uint32_t>(parts_.front().shape.at(1))} {
  for (auto& p : parts_)
    shape_.outputs += static_cast<std::uint32_t>(p.shape.at(0));
}

/// Rows of a panel that begins with row `first`. @returns how many numbers
std::size_t packer::read_rows(std::uint64_t first, float* to) const {
  auto begin = to;
  std::uint64_t above = 0;
  for (auto& p : parts_) {
    auto from = std::max(first, above), end = std::min(first + kernels::panel_outputs, above + p.shape[0]);
    if (from < end) {
      auto row_bytes = p.data.size() / p.shape[0];
      to_reals<float>({p.name,
                       p.type,
                       {end - from, shape_.inputs},
                       p.data.subspan((from - above) * row_bytes, (end - from) * row_bytes)},
                      to);
      to += (end - from) * shape_.inputs;
    }
    above += p.shape[0];
  }
  return static_cast<std::size_t>(to - begin);
}

void packer::pack(std::uint32_t first, std::uint32_t last, std::byte* to) const {
  std::vector<float> rows(std::size_t{kernels::panel_outputs} * shape_.inputs);
  for (auto panel = first; panel < last; ++panel, to += shape_.panel_bytes()) {
    auto count = read_rows(std::uint64_t{panel} * kernels::panel_outputs, rows.data());
    kernels::pack_panel(shape_, std::span(rows).first(count), to);
  }
}

} // namespace virga::models::hf
