#include "actors/roles/delay_model.hpp"

#include <algorithm>
#include <bit>

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
  ++samples_;
}

double delay_model::predict(double rows) const {
  rows = std::isfinite(rows) ? std::max(rows, 1.0) : rows_of(buckets - 1);
  double left_rows = 0, left = 0, highest = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    if (seen_[i].empty())
      continue;
    highest = std::max(highest, seen_[i].value_or(0));
    if (rows <= rows_of(i)) {
      if (left_rows == 0)
        return highest;
      return left + (highest - left) * (rows - left_rows) / (rows_of(i) - left_rows);
    }
    left_rows = rows_of(i);
    left = highest;
  }
  return left_rows == 0 ? 0 : left * rows / left_rows;
}

} // namespace virga
