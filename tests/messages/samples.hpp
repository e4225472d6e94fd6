// tests/messages/samples.hpp: a message of every kind with random contents, and their comparison bit by bit.
#pragma once

#include "messages/codec.hpp"

#include <random>
#include <string>
#include <vector>

namespace virga::test {

using rng = std::mt19937_64;

inline constexpr auto clock_start = time_point{std::chrono::hours{1}};

std::uint64_t pick(rng& r, std::uint64_t limit);  ///< 0..limit-1
std::string any_text(rng& r, std::size_t size);   ///< any bytes, zeros too
byte_buffer any_bytes(rng& r, std::size_t size);  ///< any bits: as floats also infinities and NaNs
tensor any_tensor(rng& r, dtype type, std::uint32_t rows, std::uint32_t cols);

/// One frame of every kind with random contents, in the order of `payload`. Small: at most a few hundred bytes.
std::vector<frame> one_of_each(rng& r);
/// One of every kind with all contents empty, and one of every kind with all contents as large as limits.hpp allows.
std::vector<frame> emptiest();
std::vector<frame> largest(rng& r);

/// A frame with this payload, random header and sequence number.
frame any_frame(rng& r, payload body);

/// All fields equal, doubles and tensors bit by bit, deadlines as whole milliseconds after clock_start.
bool same(const frame& a, const frame& b);

/// The units of `f` at clock_start, one after the other.
byte_buffer wire_of(const frame& f, std::size_t slice_bytes = limits::slice_bytes);

/// Prefix and checksum for a body, so that a wrong body gets past the frame_reader.
byte_buffer unit_of(std::span<const std::byte> body);

/// Bytes as they come from a connection. @returns how many there was room for
std::size_t put(frame_reader& reader, std::span<const std::byte> bytes);
std::size_t put(frame_decoder& decoder, std::span<const std::byte> bytes);

/// Everything that a fresh decoder gives for these bytes; with an error, that is the last thing.
struct decoded {
  std::vector<received> messages;
  caf::error error;
};
decoded decode_all(std::span<const std::byte> bytes);

} // namespace virga::test
