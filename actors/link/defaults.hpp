// actors/link/defaults.hpp: every bound of a link that is not on the wire: unit, reason, and what happens at it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace virga::link_defaults {

// -- sending -----------------------------------------------------------------------------------------------------------

/// Bytes of messages that may wait for the pipe, all priorities together. More: ec::queue_full to the asker.
/// Holds two prompts of the largest tensor.
inline constexpr std::size_t queue_bytes = 512u * 1024 * 1024;

/// Milliseconds after which an asker that met a full queue may ask again.
inline constexpr std::uint64_t queue_retry_ms = 50;

/// A slice lasts about this long on the wire: what a small message waits behind a large one.
inline constexpr std::chrono::milliseconds slice_time{10};

/// Bytes of a slice: at least this, so that its header stays below 5 %, ...
inline constexpr std::size_t slice_bytes_min = 4 * 1024;

/// ... and this while the rate is not known yet.
inline constexpr std::size_t slice_bytes_unmeasured = 64 * 1024;

/// Rows of a tensor that still count as decoding: one round of a draft. More rows are bulk.
inline constexpr std::uint32_t decode_rows = 16;

/// Messages whose slices may be under way at once; more wait. Stays below limits::partial_tensors of the receiver.
inline constexpr std::size_t messages_begun = 32;

// -- credit ------------------------------------------------------------------------------------------------------------

/// Bytes of data frames that may be under way: bandwidth x round trip of 335 Mbit/s at 100 ms. The sender waits at it.
inline constexpr std::uint64_t window_bytes = 4u * 1024 * 1024;

/// Part of the window that bulk leaves to decoding.
inline constexpr std::uint64_t window_reserved_bytes = window_bytes / 8;

/// The receiver gives credit back in pieces of at least this: 0.3 % of traffic, and a measurement of the rate each.
inline constexpr std::uint64_t credit_step_bytes = 32 * 1024;

// -- peers -------------------------------------------------------------------------------------------------------------

/// From a connection to the peer's hello at most; then it is closed. Also the limit of one dial with its TLS handshake.
inline constexpr std::chrono::seconds handshake_time{5};

/// Calls to the peer that may be outstanding on one link. More: ec::queue_full.
inline constexpr std::size_t outstanding_calls = 4096;

/// Sessions of the peer that a link remembers. More: the oldest is forgotten, its next frame gets ec::unknown_session.
inline constexpr std::size_t peer_sessions = 4096;

/// How long the sessions that a lost peer opened are kept for it to open them again; then they are closed. More than the
/// patience of its own sessions (1.5 s) and a reconnect with back-off.
inline constexpr std::chrono::seconds session_keep{5};

// -- sockets -----------------------------------------------------------------------------------------------------------

/// Bytes read from a socket at once.
inline constexpr std::size_t read_bytes = 64 * 1024;

/// Bytes that the kernel may hold unsent (TCP_NOTSENT_LOWAT): the last place where what is urgent waits behind bulk.
inline constexpr int unsent_bytes = 32 * 1024;

/// Connections that have not proved their name yet. More: the oldest is closed.
inline constexpr std::size_t strangers = 64;

/// After close(): time for the last bytes (the sentence of a refusal) to leave.
inline constexpr std::chrono::milliseconds linger{500};

// -- relay -------------------------------------------------------------------------------------------------------------

/// A rate-limited direction moves pieces that last about this long.
inline constexpr std::chrono::microseconds relay_piece_time{500};

/// Bytes of one direction that may be on their way inside the relay; at it, it stops reading until the far end takes some.
inline constexpr std::size_t relay_buffer_bytes = 8u * 1024 * 1024;

} // namespace virga::link_defaults
