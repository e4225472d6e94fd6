#include "actors/roles/device_session.hpp"

#include <algorithm>

namespace virga {

device_session::device_session(complete work, std::uint32_t chunk_rows)
  : work_(std::move(work)), chunk_rows_(std::max(1u, chunk_rows)) {}

void device_session::take_over(const device_session& older) {
  auto& mine = work_.prompt;
  auto& its = older.work_.prompt;
  auto differ = std::ranges::mismatch(mine, its).in1;
  fed_ = std::min(older.fed_, static_cast<std::uint64_t>(differ - mine.begin()));
  roll_back(fed_);
}

/// The last committed position always goes through: its row gives the next token.
void device_session::roll_back(std::uint64_t length) {
  fed_ = std::min({fed_, length, std::uint64_t{work_.prompt.size()} - 1});
}

device_session::input_work device_session::next_input() {
  flying_ = std::min<std::uint64_t>(work_.prompt.size() - fed_, chunk_rows_);
  auto from = work_.prompt.begin() + static_cast<std::ptrdiff_t>(fed_);
  return {fed_, {from, from + static_cast<std::ptrdiff_t>(flying_)}};
}

device_session::middle_work device_session::on_input() const {
  bool ends = fed_ + flying_ == work_.prompt.size();
  return {fed_, ends ? rows_wanted::last : rows_wanted::none};
}

std::optional<std::uint64_t> device_session::on_deep() {
  fed_ += flying_;
  flying_ = 0;
  if (fed_ < work_.prompt.size())
    return std::nullopt;
  return fed_ - 1;
}

device_session::progress device_session::on_choice(token_id id) {
  if (std::find(work_.stop.begin(), work_.stop.end(), id) != work_.stop.end())
    return {std::nullopt, finish_reason::stop};
  work_.prompt.push_back(id);
  auto position = emitted_++;
  return {position, emitted_ >= work_.max_tokens ? finish_reason::length : finish_reason::none};
}

} // namespace virga
