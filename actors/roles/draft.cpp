#include "actors/roles/draft.hpp"

#include <algorithm>

namespace virga {

draft::draft(std::uint32_t branch, std::uint64_t position, token_id first, draft_end end)
  : branch_(branch), base_(position), end_(std::move(end)), tokens_{first} {}

std::optional<draft::step> draft::next() const {
  if (complete())
    return std::nullopt;
  auto last = unsure_ || ends_answer() || drafted() >= end_.most;
  return step{tokens_.back(), base_ + rows_.rows, !last};
}

void draft::on_step(const tensor& row, const models::choice* chosen) {
  append_rows(rows_, row);
  if (chosen == nullptr)
    return;
  tokens_.push_back(chosen->id);
  alternatives_ = chosen->alternatives;
  unsure_ = chosen->confidence < end_.unsure_below;
}

bool draft::ends_answer() const {
  return drafted() > 0 && std::ranges::find(end_.stop, tokens_.back()) != end_.stop.end();
}

tensor some_rows(const tensor& from, std::uint32_t first, std::uint32_t count) {
  auto bytes = from.rows == 0 ? 0 : from.data.size() / from.rows;
  auto begin = from.data.begin() + static_cast<std::ptrdiff_t>(first * bytes);
  return {from.type, count, from.cols, {begin, begin + static_cast<std::ptrdiff_t>(count * bytes)}};
}

void append_rows(tensor& to, const tensor& more) {
  if (to.rows == 0) {
    to = more;
    return;
  }
  to.rows += more.rows;
  to.data.insert(to.data.end(), more.data.begin(), more.data.end());
}

std::vector<verify> in_pieces(const verify& whole, std::uint32_t most) {
  const auto rows = whole.rows.rows;
  most = most > 0 ? most : rows;
  std::vector<verify> out;
  for (std::uint32_t first = 0; first < rows; first += most) {
    const auto count = std::min(most, rows - first);
    const auto want = first + count == rows || whole.want == rows_wanted::all ? whole.want : rows_wanted::none;
    out.push_back({whole.base + first, want, some_rows(whole.rows, first, count), whole.up_bytes_per_s});
  }
  return out;
}

} // namespace virga
