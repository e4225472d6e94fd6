// actors/link/shape.hpp: what a shaper does to a link, as plain values. Words and effects are Toxiproxy's where it has them:
// latency and jitter, bandwidth, slicer, reset_peer, timeout (stall).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace virga {

/// One direction. Bytes keep their order whatever happens to them.
struct flow_shape {
  std::chrono::nanoseconds latency{};     ///< one way; every byte travels at least so long
  std::chrono::nanoseconds jitter{};      ///< more of it, up to this much, drawn for each piece
  std::uint64_t bytes_per_s = 0;          ///< 0: unlimited
  double flips_per_mb = 0;                ///< bits turned over, on average, in a million bytes
  std::uint32_t slice_bytes = 0;          ///< of one write at most; 0: as they come
  std::chrono::nanoseconds slice_delay{}; ///< between two of these
  bool partitioned = false;               ///< nothing passes, nothing is lost, no new connection comes through

  bool operator==(const flow_shape&) const = default;
};

/// Up is from who dials (the edge) to who listens.
struct link_shape {
  flow_shape up, down;
  bool plain() const { return *this == link_shape{}; }
  bool operator==(const link_shape&) const = default;
};

/// What to change; what is not there stays as it is.
struct flow_change {
  std::optional<double> latency_ms, jitter_ms, mbit, flips_per_mb, slice_delay_ms;
  std::optional<std::uint32_t> slice_bytes;
  std::optional<bool> partitioned;
};
struct shape_change {
  flow_change up, down;
  double stall_ms = 0;  ///< both directions stand still for so long
  bool cut = false;     ///< every connection is reset now
  bool reset = false;   ///< first back to what the manifest says
};

/// Half of the round trip each way; 1 Mbit is 125,000 bytes.
link_shape shape_of(double rtt_ms, double jitter_ms, double up_mbit, double down_mbit);

void apply(const flow_change& change, flow_shape& shape);

/// Changes the shape of the link to a peer and calls `done`, on any thread, with what it is then; with nothing where no
/// shaper stands before that peer.
using link_reshaper =
  std::function<void(const std::string& peer_node, const shape_change& what,
                     std::function<void(std::optional<link_shape>)> done)>;

} // namespace virga
