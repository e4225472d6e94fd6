#include "actors/roles/delay_model.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <vector>

namespace virga {

namespace {

double rows_of(std::size_t bucket) { return static_cast<double>(std::uint64_t{1} << bucket); }

/// The bucket nearest by ratio.
std::size_t bucket_of(std::uint64_t rows) {
  auto below = static_cast<std::size_t>(std::bit_width(std::max<std::uint64_t>(rows, 1)) - 1);
  auto nearer_above = static_cast<double>(rows) > rows_of(below) * 1.4142135623730951;
  return std::min(below + (nearer_above ? 1 : 0), delay_model::buckets - 1);
}

} // namespace

void delay_model::add(std::uint64_t rows, double seconds) {
  if (rows == 0)
    return;
  auto bucket = bucket_of(rows);
  // What the model knows of the slope carries the sample to the bucket; until it knows any, rows cost alike.
  auto at = predict(static_cast<double>(rows)), there = predict(rows_of(bucket));
  seen_[bucket].add(at > 0 ? seconds * there / at : seconds * rows_of(bucket) / static_cast<double>(rows));
  heard_[bucket] = ++samples_;
  reconcile();
}

/// The buckets from the one heard of last to the oldest: each within what those before it allow.
void delay_model::reconcile() {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < buckets; ++i)
    if (heard_[i] > 0)
      order.push_back(i);
  std::ranges::sort(order, std::greater{}, [&](std::size_t i) { return heard_[i]; });
  for (auto at = order.begin(); at != order.end(); ++at) {
    auto least = 0.0, most = std::numeric_limits<double>::infinity();
    for (auto newer = order.begin(); newer != at; ++newer) {
      const auto same_rate = known_[*newer] * rows_of(*at) / rows_of(*newer);
      least = std::max(least, std::min(known_[*newer], same_rate));
      most = std::min(most, std::max(known_[*newer], same_rate));
    }
    known_[*at] = std::max(least, std::min(seen_[*at].value_or(0), most));
  }
}

double delay_model::predict(double rows) const {
  rows = std::isfinite(rows) ? std::max(rows, 1.0) : rows_of(buckets - 1);
  double left_rows = 0, left = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    if (heard_[i] == 0)
      continue;
    if (rows <= rows_of(i))
      return left_rows == 0 ? known_[i] : left + (known_[i] - left) * (rows - left_rows) / (rows_of(i) - left_rows);
    left_rows = rows_of(i);
    left = known_[i];
  }
  return left_rows == 0 ? 0 : left * rows / left_rows;
}

} // namespace virga
