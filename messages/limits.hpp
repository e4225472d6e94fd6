// messages/limits.hpp: every bound on the wire: unit, reason, and what happens at it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace virga::limits {

/// Version of the schema's meaning. Another number in `hello`: refused with a sentence that names both.
inline constexpr std::uint32_t protocol_version = 1;

/// Bytes of one frame at most. A longer length prefix ends the connection before anything is allocated.
inline constexpr std::size_t frame_bytes = 512 * 1024;

/// Bytes of tensor data in one slice at most: a small message waits for one slice, never for a whole prompt.
inline constexpr std::size_t slice_bytes = 256 * 1024;

/// Bytes of one tensor at most (a 4,096-token prompt of hidden size 8,192 in f32 is 128 MiB). More: ec::bad_tensor.
inline constexpr std::size_t tensor_bytes = 256u * 1024 * 1024;

/// Bytes of prompt text at most, or of a chat's messages together. More: ec::bad_request.
inline constexpr std::size_t prompt_bytes = 192 * 1024;

/// Messages of one chat. More: ec::bad_request.
inline constexpr std::size_t chat_messages = 1024;

/// Texts that end an answer, and bytes of each. More: ec::bad_request.
inline constexpr std::size_t stop_strings = 16;
inline constexpr std::size_t stop_bytes = 1024;

/// Tokens with a bias of their own. More: ec::bad_request.
inline constexpr std::size_t biased_tokens = 1024;

/// Bytes of any other text in a frame (names, request ids, sentences). More: ec::bad_frame.
inline constexpr std::size_t text_bytes = 4096;

/// Tokens in one `tokens` frame at most. More: ec::bad_frame.
inline constexpr std::size_t tokens_per_frame = 16 * 1024;

/// Tokens of an answer that `generate` may say are there already. More: ec::bad_frame.
inline constexpr std::size_t answered_tokens = 64 * 1024;

/// Likeliest tokens told beside a chosen one, as in OpenAI's API. More: ec::bad_request.
inline constexpr std::size_t top_logprobs = 20;

/// Rounds of drafting that one `outcome` tells. More: the first ones are told.
inline constexpr std::size_t draft_rounds = 16 * 1024;

/// Roles in one `hello` or `status`, places in one `outcome`, points of one `sketch`. More: ec::bad_frame.
inline constexpr std::size_t list_items = 64;

/// Milliseconds of deadline a frame can carry; a longer one is cut to it.
inline constexpr std::uint32_t deadline_ms = 3'600'000;

/// Tensors being reassembled from slices at once on one link. More: ec::queue_full to the sender.
inline constexpr std::size_t partial_tensors = 64;

/// Bytes of tensors being reassembled at once on one link, as announced. More: ec::queue_full to the sender.
inline constexpr std::size_t partial_bytes = 2 * tensor_bytes;

/// Words a reader may traverse and levels it may nest in one frame; beyond: ec::bad_frame (amplification attacks).
inline constexpr std::uint64_t traversal_words = 2 * frame_bytes / 8;
inline constexpr int nesting_levels = 16;

} // namespace virga::limits
