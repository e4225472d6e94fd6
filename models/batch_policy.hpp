// models/batch_policy.hpp: which of the waiting segments run in the next step. A plain class without state: tests need
// no engine. Continuous batching as in Orca (OSDI 2022) with chunked prefill as in Sarathi-Serve (OSDI 2024).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace virga::models {

/// A segment that waits, as the policy sees it. The list is in order of arrival.
struct waiting_segment {
  std::uint64_t sequence = 0;     ///< any number that tells sequences apart
  std::uint32_t rows = 0;
  std::uint64_t kv_bytes = 0;     ///< new KV memory it needs, an estimate
  std::uint32_t passed_over = 0;  ///< steps that ran without it since it began to wait
};

struct batch_limits {
  std::uint32_t rows = 2048;     ///< of one step at most; a longer segment runs alone
  std::uint32_t few_rows = 16;   ///< up to so many rows a segment is a decode or a verify: someone waits for each token
  std::uint32_t patience = 8;    ///< steps after which a segment passed over goes ahead of all others
};

/// Takes, each group oldest first: what was passed over too often, then decode and verify, then prefill chunks; within
/// the row budget and the free KV memory. Of one sequence only the oldest segment can run. The first one taken is
/// taken whatever it needs: if its memory is not there, the shard says so and the asker gets out_of_pages.
class batch_policy {
public:
  explicit batch_policy(batch_limits limits) : limits_(limits) {}

  /// @returns indices into `waiting`, in the order in which to run them; empty only when `waiting` is
  std::vector<std::size_t> choose(std::span<const waiting_segment> waiting, std::uint64_t kv_bytes_free) const;

private:
  int urgency(const waiting_segment& s) const;

  batch_limits limits_;
};

} // namespace virga::models
