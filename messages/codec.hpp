// messages/codec.hpp: frames to wire units and back. schema/virga.capnp is the format; frame_reader.hpp the framing.
#pragma once

#include "messages/assembler.hpp"
#include "messages/frame_reader.hpp"
#include "messages/limits.hpp"
#include "messages/types.hpp"

#include <caf/expected.hpp>

#include <array>
#include <optional>
#include <span>
#include <vector>

namespace virga {

/// Writes a message as wire units, in the order in which they have to be sent: one, or one for each `slice_bytes`
/// (clamped to 1 KiB..limits::slice_bytes, whole words of 8) of its tensor's data. Units of other messages may be sent in
/// between.
/// The deadline goes out as what remains of it at `now`: 0 when it has passed, limits::deadline_ms at most.
/// @returns ec::bad_frame for a text, list or frame beyond its limit, ec::bad_request for a prompt beyond its limit,
///   ec::bad_tensor for a tensor whose data does not fit its shape or is beyond limits::tensor_bytes
caf::expected<std::vector<byte_buffer>> encode(const frame& f, time_point now,
                                               std::size_t slice_bytes = limits::slice_bytes);

/// A wire unit on its way out: `head`, then `data`, which stays where it is, inside the tensor; small pieces are in the
/// head.
struct wire_unit {
  byte_buffer head;
  std::span<const std::byte> data;
  std::size_t size() const noexcept { return head.size() + data.size(); }
};

/// The same one unit at a time. @param offset byte of the tensor at which the unit begins; moved on to the next one's
/// @returns a unit that is valid as long as the tensor's data
caf::expected<wire_unit> encode_unit(const frame& f, std::size_t& offset, time_point now,
                                     std::size_t slice_bytes = limits::slice_bytes);

/// What one decoder has seen. Units are counted as they are decoded, before their message is whole.
struct decoder_counters {
  std::uint64_t frames = 0;              ///< whole messages given out
  std::uint64_t units = 0;               ///< wire units
  std::array<std::uint64_t, 3> bytes{};  ///< of those units, prefixes included, by priority
  std::uint64_t refused = 0;             ///< messages given out as refused
  std::uint64_t broken = 0;              ///< 1 after a final error
};

/// The receiving side of one connection: frame_reader, decode_slice and assembler in one. Not thread safe.
class frame_decoder {
public:
  /// As in frame_reader.
  std::span<std::byte> room() { return reader_.room(); }
  void filled(std::size_t bytes) noexcept { reader_.filled(bytes); }

  /// @param now deadlines are counted from here
  /// @returns the next message, whole or refused; nothing while bytes are missing; an error, which is final: close the
  ///   connection. Every later call repeats it
  caf::expected<std::optional<received>> next(time_point now);

  /// Whether a message has begun to come and is not whole yet.
  bool incomplete() const noexcept { return reader_.waiting() > 0 || assembler_.partial_count() > 0; }

  const decoder_counters& counters() const noexcept { return counters_; }

private:
  caf::expected<std::optional<received>> take(std::span<const std::byte> body, time_point now);
  caf::error fail(caf::error e);

  frame_reader reader_;
  assembler assembler_;
  decoder_counters counters_;
  caf::error broken_;
};

} // namespace virga
