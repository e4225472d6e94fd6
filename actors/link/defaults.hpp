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

/// What may wait in the link beyond what it holds lasts about this long: with the unit on the line 10 ms, the most that a
/// small message has to wait for behind a large one. Never more than limits::slice_bytes ...
inline constexpr std::chrono::milliseconds standing_time{8};

/// ... and on a link of more than 1 Gbit/s what leaves in this time: a slice is gone there before a thread wakes up to its
/// credit, and the link would stand still.
inline constexpr std::chrono::milliseconds standing_time_fast{2};

/// The least that may wait, bytes.
inline constexpr std::uint64_t standing_bytes_min = 4 * 1024;

/// Bytes of one unit beside its slice, at most.
inline constexpr std::uint64_t unit_overhead = 256;

/// A tensor's slices are a quarter of it; bytes of one at least this, so that one can wait while one is on the line, and at
/// most that: more buys nothing.
inline constexpr std::size_t slice_bytes_min = standing_bytes_min / 2 - unit_overhead, slice_bytes_max = 64 * 1024;

/// Bulk leaves at most this much faster than the link carries it: enough to find out that it has become faster.
inline constexpr double pacing_gain = 1.05;

/// Bytes/s above which, and a round trip below which, nothing is paced: timers are too coarse, and what the link holds is
/// little.
inline constexpr std::uint64_t paced_rate_max = 250'000'000;
inline constexpr std::chrono::milliseconds paced_base_min{1};

/// Rows of a tensor that still count as decoding: one round of a draft. More rows are bulk.
inline constexpr std::uint32_t decode_rows = 16;

/// Messages whose slices may be under way at once; more wait. Stays below limits::partial_tensors of the receiver.
inline constexpr std::size_t messages_begun = 32;

// -- credit ------------------------------------------------------------------------------------------------------------

/// Bytes of data frames that may be under way, whatever was measured: bandwidth x round trip of 5 Gbit/s at 100 ms, and
/// what a peer may make this node hold. The sender waits at it.
inline constexpr std::uint64_t window_bytes = 64u * 1024 * 1024;

/// Bytes of bulk under way at first: enough to measure a rate of 100 Mbit/s in the first round trip.
inline constexpr std::uint64_t window_bytes_unmeasured = 32 * 1024;

/// The receiver gives credit back for each read that completed a slice of bulk, for at least this many bytes of anything
/// else, and with each pong.
inline constexpr std::uint64_t credit_bytes = 32 * 1024;

/// Bytes that one link moves in one turn before the others of its node have theirs.
inline constexpr std::size_t turn_bytes = 1024 * 1024;

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

/// Bytes that the shaper reads from a socket at once.
inline constexpr std::size_t read_bytes = 64 * 1024;

/// Encrypted bytes that are gathered for one call of the kernel, and read by one.
inline constexpr std::size_t gather_bytes = 64 * 1024, read_ahead_bytes = 128 * 1024;

/// Bytes that the kernel may hold unsent (TCP_NOTSENT_LOWAT): the last place where what is urgent waits behind bulk.
inline constexpr int unsent_bytes = 32 * 1024;

/// Connections that have not proved their name yet. More: the oldest is closed.
inline constexpr std::size_t strangers = 64;

/// After close(): time for the last bytes (the sentence of a refusal) to leave.
inline constexpr std::chrono::milliseconds linger{500};

// -- shaper ------------------------------------------------------------------------------------------------------------

/// A rate-limited direction moves pieces that last about this long, ...
inline constexpr std::chrono::microseconds shaper_piece_time{500};

/// ... and reads each this long before the line is free for it: later than a timer may be.
inline constexpr std::chrono::milliseconds shaper_ahead_time{2};

/// Bytes of one direction that may be on their way inside the shaper; at it, it stops reading until the far end takes some.
inline constexpr std::size_t shaper_buffer_bytes = 8u * 1024 * 1024;

/// How often a connection that may not come through looks again.
inline constexpr std::chrono::milliseconds shaper_look_time{20};

} // namespace virga::link_defaults
