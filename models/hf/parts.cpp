#include "models/hf/parts.hpp"

#include "models/defaults.hpp"
#include "models/hf/config.hpp"
#include "models/hf/sha256.hpp"

#include <algorithm>
#include <cstring>

namespace virga::models::hf {

namespace {

/// Whether no exponent is all ones. `bits` of one element, its exponent's in `mask`.
template <class Bits>
bool all_finite(std::span<const std::byte> data, Bits mask) {
  unsigned bad = 0;
  for (std::size_t at = 0; at + sizeof(Bits) <= data.size(); at += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, data.data() + at, sizeof bits);
    bad |= static_cast<unsigned>((bits & mask) == mask);
  }
  return bad == 0;
}

bool all_finite(std::span<const std::byte> data, dtype type) {
  switch (type) {
    case dtype::f64: return all_finite<std::uint64_t>(data, 0x7ff0000000000000u);
    case dtype::f32: return all_finite<std::uint32_t>(data, 0x7f800000u);
    case dtype::bf16: return all_finite<std::uint16_t>(data, 0x7f80u);
    case dtype::f16: return all_finite<std::uint16_t>(data, 0x7c00u);
    case dtype::i8_rows:
    case dtype::int8:
    case dtype::int4: break;
  }
  return true;
}

/// Names the first element from byte `from` on that is not finite.
[[noreturn]] void complain_of_element(const tensor_view& t, std::size_t from, const std::string& where) {
  auto width = size_of(t.type), at = from;
  while (all_finite(t.data.subspan(at, width), t.type))
    at += width;
  throw bad_model(where + ": the tensor \"" + t.name + "\" has NaN or infinity at element " + std::to_string(at / width)
                  + "; the weights are damaged, or their training was");
}

/// What is hashed before the bytes.
std::string hash_head(const tensor_view& t) {
  auto head = std::string(to_string(t.type));
  for (auto n : t.shape)
    head += " " + std::to_string(n);
  return head + "\n";
}

void add_layer(const model_config& c, std::uint32_t index, shape_list& out) {
  auto p = "model.layers." + std::to_string(index) + ".";
  std::uint64_t h = c.hidden_size, i = c.intermediate_size, dim = c.head_dim;
  auto q = c.num_attention_heads * dim, kv = c.num_key_value_heads * dim;
  auto linear = [&](const std::string& name, std::uint64_t outputs, std::uint64_t inputs, bool bias) {
    out[p + name + ".weight"] = {outputs, inputs};
    if (bias)
      out[p + name + ".bias"] = {outputs};
  };
  out[p + "input_layernorm.weight"] = out[p + "post_attention_layernorm.weight"] = {h};
  linear("self_attn.q_proj", q, h, c.qkv_bias);
  linear("self_attn.k_proj", kv, h, c.qkv_bias);
  linear("self_attn.v_proj", kv, h, c.qkv_bias);
  linear("self_attn.o_proj", h, q, c.o_bias);
  linear("mlp.gate_proj", i, h, c.mlp_bias);
  linear("mlp.up_proj", i, h, c.mlp_bias);
  linear("mlp.down_proj", h, i, c.mlp_bias);
  if (c.qk_norm)
    out[p + "self_attn.q_norm.weight"] = out[p + "self_attn.k_norm.weight"] = {dim};
}

} // namespace

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string out = "[";
  for (auto n : shape)
    out.append(out.size() > 1 ? ", " : "").append(std::to_string(n));
  return out.append("]");
}

shape_list tensors_of(const model_config& c, const std::vector<stage>& stages) {
  const std::string embedding = "model.embed_tokens.weight";
  const std::vector<std::uint64_t> vocab_by_hidden{c.vocab_size, c.hidden_size};
  shape_list out;
  for (auto& s : stages) {
    if (s.kind == stage_kind::embedding)
      out[embedding] = vocab_by_hidden;
    for (auto layer = s.first; s.kind == stage_kind::layers && layer < s.last; ++layer)
      add_layer(c, layer, out);
    if (s.kind == stage_kind::head) {
      out["model.norm.weight"] = {c.hidden_size};
      out[c.tie_word_embeddings ? embedding : "lm_head.weight"] = vocab_by_hidden;
    }
  }
  return out;
}

std::vector<stage> whole_model(const model_config& c) {
  return {{stage_kind::embedding, 0, 0}, {stage_kind::layers, 0, c.num_hidden_layers}, {stage_kind::head, 0, 0}};
}

std::string hash_finite(const tensor_view& t, const std::string& where, const std::function<void(std::uint64_t)>& done) {
  sha256 sum;
  sum.add(hash_head(t));
  for (std::size_t at = 0; at < t.data.size(); at += defaults::hash_bytes) {
    auto piece = t.data.subspan(at, std::min<std::size_t>(defaults::hash_bytes, t.data.size() - at));
    sum.add(piece);
    if (!all_finite(piece, t.type))
      complain_of_element(t, at, where);
    done(piece.size());
  }
  return sum.hex();
}

xxh64 begun_hash(const tensor_view& t) {
  xxh64 sum;
  sum.add((t.packed ? "packed " : "") + hash_head(t));
  return sum;
}

std::string hash_stored(const tensor_view& t, const std::string&, const std::function<void(std::uint64_t)>& done) {
  auto sum = begun_hash(t);
  for (std::size_t at = 0; at < t.data.size(); at += defaults::hash_bytes) {
    auto piece = t.data.subspan(at, std::min<std::size_t>(defaults::hash_bytes, t.data.size() - at));
    sum.add(piece);
    done(piece.size());
  }
  return sum.hex();
}

std::string digest_of(const hash_list& tensors, const model_config& c) {
  sha256 config;
  config.add(canonical_text(c));
  auto lines = tensors;
  lines["config.json"] = config.hex();
  sha256 sum;
  for (auto& [name, hash] : lines)
    sum.add(name + " " + hash + "\n");
  return sum.hex();
}

bool holds(const std::vector<stage>& whole, const std::vector<stage>& part) {
  auto has = [&whole](stage_kind kind, std::uint32_t layer) {
    return std::any_of(whole.begin(), whole.end(), [=](const stage& w) {
      return w.kind == kind && (kind != stage_kind::layers || (w.first <= layer && layer < w.last));
    });
  };
  for (auto& s : part)
    for (auto layer = s.first; layer == s.first || layer < s.last; ++layer)
      if (!has(s.kind, layer))
        return false;
  return true;
}

void check_order(const std::vector<stage>& stages, std::uint32_t model_layers, const std::string& where) {
  auto complain = [&](const std::string& what) { throw bad_model(where + ": " + what); };
  if (stages.empty())
    complain("no stage is named; name at least one of embedding, layers and head");
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    auto& s = stages[i];
    if (s.kind == stage_kind::embedding && i != 0)
      complain("the embedding must stand first, and once");
    if (s.kind == stage_kind::head && i + 1 != stages.size())
      complain("the head must stand last, and once");
    if (s.kind != stage_kind::layers)
      continue;
    if (s.first >= s.last || s.last > model_layers)
      complain("there are no layers " + std::to_string(s.first) + "-" + std::to_string(std::int64_t{s.last} - 1)
               + "; the model has the layers 0-" + std::to_string(model_layers - 1));
    if (s.first < next)
      complain("layer " + std::to_string(s.first) + " stands after layer " + std::to_string(next - 1)
               + "; name the layers in ascending order, each once");
    next = s.last;
  }
}

} // namespace virga::models::hf
