// models/hf/safetensors.hpp: reading (memory-mapped) and writing one .safetensors file.
// Format: u64 little-endian header length, JSON header, tensor bytes. Source: the safetensors README.
#pragma once

#include "messages/types.hpp"
#include "models/progress.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
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
  /// A matrix of this type and shape, laid out as models/kernels/packed.hpp has it. Such a file says only U8 and how
  /// many bytes; the rest stands in the folder's virga.json.
  bool packed = false;
};

/// A mapped file. Every number of the header was checked against the file's size, the dtypes and the shapes: no hole,
/// no overlap, no duplicate name. @throws bad_model with file and place
class safetensors_file {
public:
  /// @param packed U8 is read too: as packed, `type` f32 and the file's shape
  explicit safetensors_file(const std::filesystem::path& file, bool packed = false);
  ~safetensors_file();
  safetensors_file(safetensors_file&&) noexcept;
  safetensors_file& operator=(safetensors_file&&) noexcept;

  const std::map<std::string, tensor_view>& tensors() const;

  /// Asks the system to read the file, from its beginning, before it is needed. Returns at the end, or when stopped.
  void read_ahead(const std::stop_token& stop) const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Writes a file tensor by tensor, for those that are made on the way: header first, padded with spaces so that the
/// data begins on a cache line, then the bytes in the header's order, to a temporary beside `file`. Without finish()
/// the temporary goes.
class safetensors_writer {
public:
  /// @param tensors names, types and shapes; `data` is not looked at @throws std::runtime_error when the disk refuses
  safetensors_writer(std::filesystem::path file, std::span<const tensor_view> tensors);
  ~safetensors_writer();
  safetensors_writer(const safetensors_writer&) = delete;
  safetensors_writer& operator=(const safetensors_writer&) = delete;

  void add(std::span<const std::byte> bytes);
  /// @throws std::runtime_error when the disk refuses, or other bytes came than the header says
  void finish();

private:
  std::filesystem::path file_, part_;
  std::ofstream out_;
  std::uint64_t missing_ = 0;  ///< bytes
};

/// Writes the tensors in order.
/// @param progress told after each tensor; may be empty @throws std::runtime_error when the disk refuses
void write_safetensors(const std::filesystem::path& file, std::span<const tensor_view> tensors,
                       const load_progress& progress = {});

} // namespace virga::models::hf
