// actors/engine/defaults.hpp: the engine's fixed bounds. Those a deployment may choose stand in engine_config.
#pragma once

#include <cstdint>

namespace virga::engine_defaults {

/// Rows up to which a segment counts as decode or verify and goes before prefill: a draft is a dozen tokens at most.
inline constexpr std::uint32_t few_rows = 16;

/// Steps that may pass a segment over; then it goes ahead of all others, so no prefill starves under endless decodes.
inline constexpr std::uint32_t patience_steps = 8;

/// Milliseconds that a call beyond engine_config::waiting is told to wait (detail of ec::queue_full): a few steps.
inline constexpr std::uint64_t retry_ms = 100;

/// Texts that a prefix cache holds; more: the one unused for longest goes. KV memory bounds them first, this bounds
/// their tokens.
inline constexpr std::uint32_t prefix_texts = 256;

} // namespace virga::engine_defaults
