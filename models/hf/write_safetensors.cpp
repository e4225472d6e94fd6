#include "models/hf/json.hpp"
#include "models/hf/safetensors.hpp"

#include <fstream>
#include <set>

namespace virga::models::hf {

namespace {

const char* dtype_name(dtype t) {
  switch (t) {
    case dtype::f64: return "F64";
    case dtype::f32: return "F32";
    case dtype::bf16: return "BF16";
    case dtype::f16: return "F16";
    case dtype::i8_rows:
    case dtype::int8:
    case dtype::int4: break;
  }
  throw std::runtime_error("a safetensors file cannot hold this dtype");
}

void check(const tensor_view& t) {
  std::uint64_t bytes = size_of(t.type);
  for (auto n : t.shape)
    bytes *= n;
  if (bytes != t.data.size() || t.name.empty() || t.name == "__metadata__")
    throw std::runtime_error("tensor " + in_quotes(t.name) + " has " + std::to_string(t.data.size())
                             + " bytes, its shape asks for " + std::to_string(bytes) + ", or its name is not allowed");
}

std::string header(std::span<const tensor_view> tensors) {
  json::object root;
  std::uint64_t at = 0;
  for (auto& t : tensors) {
    check(t);
    json::object entry{{"dtype", dtype_name(t.type)},
                       {"shape", json::array(t.shape.begin(), t.shape.end())},
                       {"data_offsets", {at, at + t.data.size()}}};
    if (!root.emplace(t.name, std::move(entry)).second)
      throw std::runtime_error("tensor " + in_quotes(t.name) + " is given twice");
    at += t.data.size();
  }
  auto text = json::serialize(root);
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

} // namespace

void write_safetensors(const std::filesystem::path& file, std::span<const tensor_view> tensors,
                       const load_progress& progress) {
  std::uint64_t done = 0, total = 0;
  for (auto& t : tensors)
    total += t.data.size();
  auto text = header(tensors);
  auto part = file;
  part += ".part";
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  for (std::uint64_t n = text.size(), i = 0; i < 8; ++i)
    out.put(static_cast<char>(n >> (8 * i)));
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  for (auto& t : tensors) {
    out.write(reinterpret_cast<const char*>(t.data.data()), static_cast<std::streamsize>(t.data.size()));
    done += t.data.size();
    if (progress)
      progress("writing weights", done, total);
  }
  out.close();
  if (!out) {
    std::filesystem::remove(part);
    throw std::runtime_error(file.string() + ": cannot be written; is the disk full?");
  }
  std::filesystem::rename(part, file);
}

} // namespace virga::models::hf
