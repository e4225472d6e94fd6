// actors/roles/chunk_planner.hpp: how many positions of a prompt a device sends at once, so that the upload of one
// chunk takes as long as the cloud needs before it can take the next: a smaller one costs the cloud overhead, a larger
// one leaves it idle.
// Source: HAT (arXiv 2503.18989), dynamic chunk size. The published sentence can be read in two ways:
//   apart   X A / b = w + g(mu + X) / P      waiting, and then compute spread over the stages
//   shared  X A / b = (w + g(mu + X)) / P    both spread; gives smaller chunks
// X positions, A bytes of one row, b the uplink, w the wait before a chunk's first stage, g the time of a batch, mu the
// rows of others in it, P the stages of the pipeline.
// Where the cloud is the bottleneck the sentence asks for the whole prompt, and then nothing overlaps. So a chunk is never
// longer than what gives a prompt of N positions its first token soonest there, the X with the least
//   X A / b + N / X (w + g(mu + X) / P)
// Ours, not the paper's.
#pragma once

#include "actors/roles/delay_model.hpp"

namespace virga {

enum class chunk_rule : std::uint8_t { apart, shared };

struct chunk_limits {
  std::uint32_t least = 16;      ///< positions
  std::uint32_t most = 512;
  std::uint32_t multiple = 8;    ///< rounded up to it: too small is punished more than too large
  chunk_rule rule = chunk_rule::apart;
  double step_budget_s = 0;      ///< a batch with the chunk stays under it, others wait for their tokens meanwhile; 0: no bound
};

/// What is known when a chunk is planned.
struct chunk_view {
  double row_bytes = 0;          ///< on the wire
  double up_bytes_per_s = 0;     ///< of the device; 0 or not finite: not measured yet
  double wait_s = 0;             ///< of late chunks between arrival and their batch
  double load_rows = 0;          ///< of others in a batch
  std::uint32_t stages = 1;      ///< of the pipeline, at least 1
  double prompt_rows = 0;        ///< positions of the whole prompt; 0: not known
};

/// The smallest chunk within the limits that takes the uplink at least as long as the cloud; `most` when none does (the
/// cloud is the bottleneck), and when nothing is known. A slower uplink never gives a larger chunk, a longer wait never
/// a smaller one.
std::uint32_t plan_chunk(const delay_model& g, const chunk_view& view, const chunk_limits& limits);

} // namespace virga
