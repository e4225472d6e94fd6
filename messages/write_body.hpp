// messages/write_body.hpp: one frame as a flat Cap'n Proto message. Private to encode().
#pragma once

#include "messages/types.hpp"

#include <span>

namespace virga {

/// The part of a frame's tensor that one unit carries.
struct tensor_piece {
  std::span<const std::byte> bytes;  ///< inside the tensor's own data; empty: none
  std::uint32_t crc = 0;             ///< crc32c of them
  bool apart = false;                ///< they stay where they are, as the message's second segment: aligned whole words
};

/// Writes the body of one wire unit, but for a piece that is apart, into the front of `room`: zeroed, 8-byte aligned,
/// whole words, large enough.
/// @returns bytes used
/// @throws rule_broken where the frame breaks a limit, kj::Exception where `room` is too small
std::size_t write_body(std::span<std::byte> room, const frame& f, std::uint32_t deadline_ms, const tensor_piece& piece);

} // namespace virga
