// models/defaults.hpp: every bound of models/ on what a file can make grow, each with unit, reason and what happens.
#pragma once

#include <cstdint>

namespace virga::models::defaults {

/// Bytes of a safetensors header; the format's own limit. More: bad_model.
inline constexpr std::uint64_t safetensors_header_bytes = 100'000'000;

/// Bytes of one JSON or Jinja file of a model folder; the largest tokenizer.json in use has 35 MB. More: bad_model.
inline constexpr std::uint64_t json_file_bytes = 256u << 20;

/// Upper bounds on config.json's numbers; ten times the largest models there are, so that products of two fit in 64
/// bits. More: bad_model.
inline constexpr std::uint32_t max_width = 1u << 20;      ///< hidden, intermediate
inline constexpr std::uint32_t max_layers = 1u << 12;
inline constexpr std::uint32_t max_heads = 1u << 12;
inline constexpr std::uint32_t max_vocab = 1u << 24;
inline constexpr std::uint32_t max_context = 1u << 26;    ///< positions

/// Positions of one KV page. Small enough that short histories waste little, large enough for few pages.
inline constexpr std::uint32_t kv_page_positions = 64;

} // namespace virga::models::defaults
