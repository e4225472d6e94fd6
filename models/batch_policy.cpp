#include "models/batch_policy.hpp"

#include <algorithm>
#include <unordered_set>

namespace virga::models {

namespace {

/// Of each sequence the oldest: a later one builds on its positions.
std::vector<std::size_t> heads(std::span<const waiting_segment> waiting) {
  std::unordered_set<std::uint64_t> seen;
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < waiting.size(); ++i)
    if (seen.insert(waiting[i].sequence).second)
      out.push_back(i);
  return out;
}

} // namespace

int batch_policy::urgency(const waiting_segment& s) const {
  if (s.passed_over >= limits_.patience)
    return 0;
  return s.rows <= limits_.few_rows ? 1 : 2;
}

std::vector<std::size_t> batch_policy::choose(std::span<const waiting_segment> waiting,
                                              std::uint64_t kv_bytes_free) const {
  auto order = heads(waiting);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return urgency(waiting[a]) < urgency(waiting[b]); });
  std::vector<std::size_t> chosen;
  std::uint64_t rows_left = limits_.rows, kv_left = kv_bytes_free;
  for (auto i : order) {
    const auto& s = waiting[i];
    if (!chosen.empty() && (s.rows > rows_left || s.kv_bytes > kv_left))
      continue;
    rows_left -= std::min<std::uint64_t>(rows_left, s.rows);
    kv_left -= std::min(kv_left, s.kv_bytes);
    chosen.push_back(i);
  }
  return chosen;
}

} // namespace virga::models
