// models/hf/safetensors.hpp: reading (memory-mapped) and writing one .safetensors file.
// Format: u64 little-endian header length, JSON header, tensor bytes. Source: the safetensors README.
#pragma once

#include "messages/types.hpp"
#include "models/progress.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace virga::models::hf {

/// One tensor: row-major elements, little-endian. `data` points into the mapped file and lives as long as it, and need
/// not be aligned to the element.
struct tensor_view {
  std::string name;
  dtype type = dtype::f32;
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> data;
};

/// A mapped file. Every number of the header was checked against the file's size, the dtypes and the shapes: no hole,
/// no overlap, no duplicate name. @throws bad_model with file and place
class safetensors_file {
public:
  explicit safetensors_file(const std::filesystem::path& file);
  ~safetensors_file();
  safetensors_file(safetensors_file&&) noexcept;
  safetensors_file& operator=(safetensors_file&&) noexcept;

  const std::map<std::string, tensor_view>& tensors() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Writes the tensors in order, header padded with spaces to 8 bytes, to a temporary beside `file`, then renames it.
/// @param progress told after each tensor; may be empty @throws std::runtime_error when the disk refuses
void write_safetensors(const std::filesystem::path& file, std::span<const tensor_view> tensors,
                       const load_progress& progress = {});

} // namespace virga::models::hf
