// actors/gateway/defaults.hpp: every bound of the HTTP side: unit, reason, and what happens at it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace virga::gateway_defaults {

// -- connections -------------------------------------------------------------------------------------------------------

/// Connections open at once: file descriptors are finite. More are answered 503 and closed.
inline constexpr std::size_t connections = 1024;

/// Bytes of a request's line and headers; a browser's are below 8 KiB. More: 431.
inline constexpr std::uint32_t header_bytes = 16 * 1024;

/// Bytes of a request's body: five times the longest prompt, for escapes and earlier messages. More: 413.
inline constexpr std::uint64_t body_bytes = 1024 * 1024;

/// From the first byte of a request (or the accept) to the end of its headers: slow-loris clients. Longer: 408.
inline constexpr std::chrono::seconds header_time{10};

/// From the first byte of a request to its last. Longer: 408.
inline constexpr std::chrono::seconds request_time{40};

/// Silence between two requests of one connection. Longer: closed.
inline constexpr std::chrono::seconds idle_time{75};

/// One write that the client does not take. Longer: the connection is cut and its session cancelled.
inline constexpr std::chrono::seconds write_time{30};

/// Bytes of a stream that wait for a slow reader. More: the connection is cut and its session cancelled.
inline constexpr std::size_t unsent_bytes = 1024 * 1024;

/// Bytes of the next request read ahead while one is answered (pipelining). More wait in the kernel.
inline constexpr std::size_t ahead_bytes = 64 * 1024;

/// After a refusal, what the client still sends is read and dropped, so that it gets to read the refusal. Then: closed.
inline constexpr std::chrono::seconds linger_time{2};
inline constexpr std::size_t linger_bytes = 8 * 1024 * 1024;

/// How often all the times on this page are looked at.
inline constexpr std::chrono::milliseconds tick{100};

// -- requests ----------------------------------------------------------------------------------------------------------

/// Levels of nested JSON. More: 400.
inline constexpr std::size_t json_depth = 64;

/// New tokens of one answer: asked for at most (more: 400), and of a request that names no number.
inline constexpr std::uint32_t max_tokens = 65536;
inline constexpr std::uint32_t max_tokens_if_unset = 256;

/// Answers to one request (OpenAI's n), each a session of its own. More: 400.
inline constexpr std::uint64_t choices = 16;

/// Characters of a client's X-Request-Id; longer or unprintable ones are replaced.
inline constexpr std::size_t request_id_chars = 128;

/// Ended requests that /requests still shows.
inline constexpr std::size_t recent_requests = 50;

/// Silence in a stream before a comment keeps proxies from closing it.
inline constexpr std::chrono::seconds keep_alive{10};

/// How long after a request's deadline the gateway still waits for the session to say so; then it answers 504 itself.
inline constexpr std::chrono::milliseconds deadline_grace{500};

/// What `Retry-After` says where nothing better is known, in seconds.
inline constexpr std::uint32_t retry_after_s = 1;

// -- node --------------------------------------------------------------------------------------------------------------

/// How often the node is asked what it serves, how long it has to answer, and after how many failures /health/ready
/// says that it does not answer.
inline constexpr std::chrono::milliseconds status_every{250};
inline constexpr std::chrono::seconds status_time{2};
inline constexpr std::uint32_t status_failures = 2;

/// How long running answers may go on once the gateway ends; then they are cut with ec::shutting_down.
inline constexpr std::chrono::seconds drain_time{2};

/// How long the cut answers have to reach their clients.
inline constexpr std::chrono::milliseconds cut_time{250};

} // namespace virga::gateway_defaults
