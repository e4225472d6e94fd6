// models/train/export.hpp: a trained net as an ordinary Hugging Face folder: config.json, model.safetensors (f32),
// tokenizer.json (WordLevel over white space, a leading <bos>), tokenizer_config.json, special_tokens_map.json,
// generation_config.json. Loads as LlamaForCausalLM and PreTrainedTokenizerFast.
#pragma once

#include "models/train/net.hpp"
#include "models/world/vocabulary.hpp"

#include <filesystem>

namespace virga::models::train {

/// Writes the six files into `dir`, which is made when missing. @throws std::runtime_error when the disk refuses
void export_folder(net& trained, const world::vocabulary& words, const std::filesystem::path& dir);

} // namespace virga::models::train
