// messages/write_body.hpp: one frame as a flat Cap'n Proto message. Private to encode().
#pragma once

#include "messages/types.hpp"

#include <span>

namespace virga {

/// Writes the body of one wire unit into the front of `room`: zeroed, 8-byte aligned, whole words, large enough.
/// @param data the part of the frame's tensor that this unit carries, inside the tensor's own data; empty otherwise
/// @returns bytes used
/// @throws rule_broken where the frame breaks a limit, kj::Exception where `room` is too small
std::size_t write_body(std::span<std::byte> room, const frame& f, std::uint32_t deadline_ms,
                       std::span<const std::byte> data);

} // namespace virga
