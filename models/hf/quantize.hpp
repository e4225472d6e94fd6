// models/hf/quantize.hpp: model folders whose matrices lie as the kernels read them (models/kernels/packed.hpp), so that
// loading maps them and copies nothing.
//   config.json        with "quantization_config": {"quant_method": "virga-panels", "dtype": ..., "layout": 1}
//   virga.json         digest, stages and hashes of the model, as `virga cut` writes them; in "stored" shape and XXH64 of
//                      each tensor of model.safetensors
//   model.safetensors  matrices in U8, each on a cache line; then vectors in F32. What reads the same rows stands as one:
//                      "...self_attn.qkv_proj.weight", "...mlp.gate_up_proj.weight"
#pragma once

#include "models/hf/folder.hpp"

namespace virga::models::hf {

/// Writes such a folder, with every other file of `from` as it is. Overwrites nothing, leaves nothing half written. Holds some
/// panels at a time. @param to f32, bf16, int8 or int4; the folder then runs in this one
/// @param progress may throw, which ends the work @returns bytes of the weights written
/// @throws bad_model for a folder that is quantised already, an `out` that exists or a disk without the room;
/// std::runtime_error when the disk refuses
std::uint64_t quantize_folder(const model_folder& from, dtype to, const std::filesystem::path& out,
                              const load_progress& progress = {});

} // namespace virga::models::hf
