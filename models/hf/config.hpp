// models/hf/config.hpp: reading config.json and its companions. Private to models/hf.
#pragma once

#include "models/hf/folder.hpp"

namespace virga::models::hf {

/// DIR/config.json. Accepts the spellings of transformers 4 and 5. @throws bad_model naming the field and its value for
/// what cannot be run yet: other architectures, rope scaling, biases, sliding windows, quantised weights
model_config read_config(const std::filesystem::path& dir);

/// DIR/generation_config.json where there is one; eos and bos fall back to config.json.
generation_defaults read_generation(const std::filesystem::path& dir, std::uint32_t vocab_size);

/// DIR/chat_template.jinja, else tokenizer_config.json's chat_template, else nothing.
std::optional<std::string> read_chat_template(const std::filesystem::path& dir);

/// One line with every number that changes the model's results: it is hashed into the digest.
std::string canonical_text(const model_config& c);

} // namespace virga::models::hf
