#include "models/memory.hpp"

#include "models/hf/json.hpp"
#include "models/hf/parts.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace virga::models {

namespace {

namespace fs = std::filesystem;

/// A file that holds one number, or "max".
std::uint64_t number_in(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t n = 0;
  return in >> n ? n : UINT64_MAX;
}

/// The number behind `key` in lines of "key number" or "key: number kB"; UINT64_MAX when there is none.
std::uint64_t field_in(const fs::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name, unit;
    std::uint64_t n = 0;
    if (words >> name >> n && name == key)
      return words >> unit && unit == "kB" ? n * 1024 : n;
  }
  return UINT64_MAX;
}

/// What one control group leaves. @param limit, usage names of its files
std::uint64_t group_leaves(const fs::path& group, const char* limit, const char* usage, const std::string& droppable) {
  auto most = number_in(group / limit), used = number_in(group / usage);
  if (most == UINT64_MAX || used == UINT64_MAX)
    return UINT64_MAX;
  if (auto pages = field_in(group / "memory.stat", droppable); pages != UINT64_MAX)
    used -= std::min(used, pages);
  return most - std::min(most, used);
}

/// The groups of this process, each bounded by those above it.
std::uint64_t groups_leave(const fs::path& root) {
  std::uint64_t least = UINT64_MAX;
  std::ifstream in(root / "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos)
      continue;
    auto controllers = line.substr(first + 1, second - first - 1);
    bool second_version = controllers.empty();
    if (!second_version && controllers.find("memory") == std::string::npos)
      continue;
    auto base = root / (second_version ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
    for (auto path = fs::path(line.substr(second + 1)).relative_path();; path = path.parent_path()) {
      auto group = base / path;
      least = std::min(least, second_version
                                ? group_leaves(group, "memory.max", "memory.current", "inactive_file")
                                : group_leaves(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"));
      if (path.empty())
        break;
    }
  }
  return least;
}

/// Of int8 and int4 a block of 32 has its f16 scale.
std::uint64_t weight_bytes(std::uint64_t numbers, dtype t) {
  if (t == dtype::int8 || t == dtype::int4)
    return (numbers * (t == dtype::int8 ? 34 : 18) + 31) / 32;
  return numbers * size_of(t);
}

/// "2", "0.5625".
std::string bytes_each(dtype t) {
  char text[16];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(weight_bytes(32, t)) / 32);
  return text;
}

std::string with_commas(std::uint64_t n) {
  auto s = std::to_string(n);
  for (auto at = static_cast<std::ptrdiff_t>(s.size()) - 3; at > 0; at -= 3)
    s.insert(static_cast<std::size_t>(at), ",");
  return s;
}

} // namespace

memory_need need_of(const hf::model_folder& folder, const shard_options& options, std::uint32_t rows) {
  auto& c = folder.config();
  memory_need n;
  for (auto& [name, shape] : hf::tensors_of(c, options.stages.empty() ? folder.stages() : options.stages)) {
    std::uint64_t count = 1;
    for (auto d : shape)
      count *= d;
    n.numbers += count;
  }
  n.weights = weight_bytes(n.numbers, options.compute);
  n.kv = options.kv_bytes;
  auto heads = std::uint64_t{c.num_attention_heads} + 2 * c.num_key_value_heads;
  auto widest = std::uint64_t{3} * c.hidden_size + heads * c.head_dim + std::uint64_t{3} * c.intermediate_size;
  n.step = rows * widest * (options.compute == dtype::f64 ? 8 : 4);
  return n;
}

std::uint64_t kv_bytes_per_token(const hf::model_config& c, dtype t) {
  const auto head = c.head_dim * size_of(t) + (t == dtype::i8_rows ? sizeof(float) : 0);
  return std::uint64_t{2} * c.num_key_value_heads * head * c.num_hidden_layers;
}

std::uint64_t free_memory(const fs::path& root) {
  return std::min(field_in(root / "proc/meminfo", "MemAvailable:"), groups_leave(root));
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024)
    return std::to_string(bytes) + " bytes";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(units); ++unit)
    value /= 1024;
  char text[40];
  std::snprintf(text, sizeof text, "%.1f %s", value, units[unit]);
  return text;
}

std::string arithmetic(const memory_need& n, dtype weights) {
  return with_commas(n.numbers) + " numbers x " + bytes_each(weights) + " bytes ("
         + std::string(to_string(weights)) + ") = " + bytes_text(n.weights) + " of weights + " + bytes_text(n.kv)
         + " of KV + " + bytes_text(n.step) + " for a step = " + bytes_text(n.total());
}

void check_memory(const hf::model_folder& folder, const shard_options& options, std::uint32_t rows, std::uint64_t free) {
  folder.need_dtype(options.compute);
  auto need = need_of(folder, options, rows);
  if (need.total() <= free)
    return;
  if (folder.packed() && options.compute != dtype::int4)
    hf::fail(folder.dir().string(), "does not fit into memory: " + arithmetic(need, options.compute) + ", but " + bytes_text(free)
                                      + " are free; quantise the model to a narrower dtype, give it less KV or fewer layers, or free some memory");
  bool gpu = options.device != "cpu";
  auto cure = gpu && options.compute == dtype::bf16 ? "give it less KV or fewer layers"
              : gpu ? "take dtype bf16 (2 bytes), give it less KV or fewer layers"
              : options.compute == dtype::int4 ? "give it less KV or fewer layers, or free some memory"
              : options.compute == dtype::int8 ? "take dtype int4, give it less KV or fewer layers, or free some memory"
              : options.compute == dtype::bf16 ? "take dtype int8 or int4, give it less KV or fewer layers, or free some memory"
                                               : "take dtype bf16 (2 bytes), int8 or int4, give it less KV or fewer layers, or free some memory";
  hf::fail(folder.dir().string(), "does not fit into " + (gpu ? options.device : "memory") + ": " + arithmetic(need, options.compute) + ", but "
                                    + bytes_text(free) + " are free; " + cure);
}

} // namespace virga::models
