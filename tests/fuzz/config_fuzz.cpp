// libFuzzer over config.json: numbers that a shard can compute with, or a sentence.
#include "models/hf/config.hpp"
#include "models/shard.hpp"

#include <cstdlib>

using namespace virga::models;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    auto c = hf::parse_config({reinterpret_cast<const char*>(data), size}, "config.json");
    bool sound = c.hidden_size > 0 && c.num_attention_heads > 0 && c.num_key_value_heads > 0 && c.head_dim > 0
                 && c.head_dim % 2 == 0 && c.num_attention_heads % c.num_key_value_heads == 0 && c.vocab_size > 0
                 && c.max_position_embeddings > 0 && c.num_hidden_layers > 0;
    if (!sound || hf::canonical_text(c).empty())
      std::abort();
  } catch (const bad_model&) {
  }
  return 0;
}
