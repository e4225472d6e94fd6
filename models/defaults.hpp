// models/defaults.hpp: every bound of models/ on what a file can make grow, each with unit, reason and what happens.
#pragma once

#include <cstdint>

namespace virga::models::defaults {

/// Bytes of a safetensors header; the format's own limit. More: bad_model.
inline constexpr std::uint64_t safetensors_header_bytes = 100'000'000;

/// Bytes of one JSON or Jinja file of a model folder; the largest tokenizer.json in use has 35 MB. More: bad_model.
inline constexpr std::uint64_t json_file_bytes = 256u << 20;

/// Combining marks in a row of a text that a tokenizer normalises, which takes quadratic time; real text has fewer than 30.
/// More: bad_segment.
inline constexpr std::uint32_t combining_marks = 1000;

/// Steps of one rendering of a chat template; making 64 bytes counts as one. The longest conversations need a hundredth.
/// More: bad_chat.
inline constexpr std::uint64_t template_steps = 20'000'000;

/// Loops and macros that may be open at once in a template, and brackets in one of its expressions. More: bad_chat, bad_model.
inline constexpr std::uint32_t template_depth = 100;

/// Operators, filters and attributes of one expression of a template. More: bad_model.
inline constexpr std::uint32_t template_links = 1000;

/// Bytes of stack that one rendering may use; threads have 8 MiB. More: bad_chat.
inline constexpr std::uint64_t template_stack = 2u << 20;

/// Bytes of a chat template's source; the largest in use has 20 kB. More: bad_model.
inline constexpr std::uint64_t template_bytes = 1u << 20;

/// Files that an index may name; the largest models in use have 200. More: bad_model.
inline constexpr std::uint64_t weight_files = 4096;

/// Bytes of a tensor that are hashed, searched for NaN and reported at once. Fits the cache.
inline constexpr std::uint64_t hash_bytes = 1u << 20;

/// Bytes of a file that the system is asked to read ahead at once. More pieces: it stops sooner when nobody needs them.
inline constexpr std::uint64_t read_ahead_bytes = 8u << 20;

/// Threads that check hashes while a folder is opened; no more than there are cores. One hashes 0.4 to 2 GB/s, disks
/// give 0.5 to 7.
inline constexpr unsigned hash_threads = 8;

/// Upper bounds on config.json's numbers; ten times the largest models there are, so that products of two fit in 64
/// bits. More: bad_model.
inline constexpr std::uint32_t max_width = 1u << 20;      ///< hidden, intermediate
inline constexpr std::uint32_t max_layers = 1u << 12;
inline constexpr std::uint32_t max_heads = 1u << 12;
inline constexpr std::uint32_t max_vocab = 1u << 24;
inline constexpr std::uint32_t max_context = 1u << 26;    ///< positions

/// Positions of one KV page. Small enough that short histories waste little, large enough for few pages.
inline constexpr std::uint32_t kv_page_positions = 64;

/// Of a shard whose KV is gathered by page (cuda:N). A segment's rows up to which each of them gathers its history for itself: a
/// round of drafts. More: the segment gathers once, and its step has a shape of its own.
inline constexpr std::int64_t device_short_rows = 8;

/// Rows of a step that gets one of few shapes and is repeated as a CUDA graph. More: run kernel by kernel, which then is
/// no longer what the time goes into.
inline constexpr std::int64_t device_fixed_rows = 64;

/// Bytes of KV gathered at once in one layer, beside the KV itself. More: in pieces, kernel by kernel; a single history always fits.
inline constexpr std::int64_t device_gather_bytes = 512ll << 20;

/// Numbers of a mask for a prompt's rows, 32 MiB in bf16. More: in blocks of rows, of at least 16.
inline constexpr std::int64_t device_mask_numbers = 16ll << 20;

/// CUDA graphs kept, some MiB of device memory each. More: the one that was not used for longest goes and is made again when needed.
inline constexpr std::size_t device_graphs = 64;

} // namespace virga::models::defaults
