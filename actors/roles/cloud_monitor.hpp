// actors/roles/cloud_monitor.hpp: what a VERIFIER observes of its engine, and the chunk size that follows for a device.
// Source: HAT (arXiv 2503.18989), state monitoring: batch delays by rows, the wait of chunks, the load beside them.
#pragma once

#include "actors/roles/chunk_planner.hpp"
#include "messages/types.hpp"

namespace virga {

class cloud_monitor {
public:
  explicit cloud_monitor(chunk_limits limits) : limits_(limits) {}

  /// A segment of `rows` rows ran in a batch of `batch_rows`.
  void on_step(std::uint32_t rows, std::uint32_t batch_rows, const work_times& times) {
    constexpr double us = 1e-6;
    g_.add(batch_rows, static_cast<double>(times.compute_us) * us);
    if (rows < limits_.least)
      return;  // no chunk
    wait_s_.add(static_cast<double>(times.queue_us) * us);
    load_rows_.add(batch_rows > rows ? batch_rows - rows : 0);
  }

  /// A batch that ran before there were devices.
  void on_warm_up(std::uint32_t rows, const work_times& times) { g_.add(rows, static_cast<double>(times.compute_us) * 1e-6); }

  /// Positions of a prompt that suit a device now. One stage: in a pipeline each part says what suits it, and the
  /// largest is what suits the slowest.
  std::uint32_t suggest(std::uint64_t row_bytes, std::uint64_t up_bytes_per_s, std::uint32_t prompt_rows) const {
    chunk_view view{static_cast<double>(row_bytes), static_cast<double>(up_bytes_per_s), wait_s_.value_or(0),
                    load_rows_.value_or(0), 1, static_cast<double>(prompt_rows)};
    return plan_chunk(g_, view, limits_);
  }

  const delay_model& delays() const { return g_; }

private:
  chunk_limits limits_;
  delay_model g_;
  moving_average wait_s_, load_rows_;
};

} // namespace virga
