// models/hf/config.hpp: reading config.json and its companions. Private to models/hf.
#pragma once

#include "models/hf/folder.hpp"

namespace virga::models::hf {

/// What `virga quantize` writes into quantization_config.
inline constexpr std::string_view quantized_method = "virga-panels";
inline constexpr std::uint32_t quantized_layout = 1;  ///< of models/kernels/packed.hpp

/// config.json of a Llama, Mistral, Qwen2 or Qwen3 decoder, in the spelling of transformers 4 or 5; fields that are absent
/// have the defaults of transformers 5.23. @throws bad_model("WHERE: ...") naming the field, its value and what it may
/// be, also for what cannot be run: other architectures, other rope types, partial rotation, weights that another
/// program quantised
model_config parse_config(std::string_view text, const std::string& where);

/// DIR/config.json.
model_config read_config(const std::filesystem::path& dir);

/// DIR/generation_config.json where there is one; eos and bos fall back to config.json.
generation_defaults read_generation(const std::filesystem::path& dir, std::uint32_t vocab_size);

/// One line with every number that changes the model's results: it is hashed into the digest.
std::string canonical_text(const model_config& c);

} // namespace virga::models::hf
