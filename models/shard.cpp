#include "models/shard.hpp"

namespace virga::models {

std::string describe(std::span<const stage> stages) {
  std::string out;
  for (auto& s : stages) {
    out += out.empty() ? "" : ", ";
    switch (s.kind) {
      case stage_kind::embedding: out += "embedding"; break;
      case stage_kind::head: out += "head"; break;
      case stage_kind::adapter: out += "adapter"; break;
      case stage_kind::layers:
        out += "layers " + std::to_string(s.first) + "-" + std::to_string(s.last - 1);
        break;
    }
  }
  return out;
}

tensor shard::kv_rows(sequence, std::uint32_t, std::uint32_t, std::uint64_t, std::uint32_t) const {
  throw bad_segment("this shard keeps no keys and values that can be read");
}

std::vector<kv_slice> shard::export_kv(sequence, std::uint32_t, std::uint64_t, std::uint32_t) const {
  throw bad_segment("this shard keeps no keys and values that can be exported");
}

void shard::import_kv(sequence, std::span<const kv_slice>) {
  throw bad_segment("this shard keeps no keys and values that can be imported");
}

stale_position::stale_position(std::uint64_t have, std::uint64_t asked)
    : std::runtime_error("the cache holds " + std::to_string(have) + " positions, but position "
                         + std::to_string(asked) + " was asked for"),
      length(have) {}

out_of_pages::out_of_pages(std::uint64_t needed, std::uint64_t left)
    : std::runtime_error("no KV memory left: " + std::to_string(needed) + " bytes needed, " + std::to_string(left)
                         + " free; close sequences or raise the engine's KV bound"),
      bytes_free(left) {}

} // namespace virga::models
