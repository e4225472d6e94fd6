#include "models/torch/stage_weights_impl.hpp"

#include "models/hf/stored.hpp"

namespace virga::models::torch_impl {

namespace {

/// Stored bytes of the tensors that the stages need.
std::uint64_t bytes_of(const hf::model_folder& folder, const std::vector<stage>& stages) {
  std::uint64_t sum = 0;
  for (auto& name : hf::names_in_files(folder.config(), stages))
    sum += folder.weight(name).data.size();
  return sum;
}

} // namespace

stage_weights::stage_weights(const hf::model_folder& folder, const shard_options& options,
                             const std::vector<stage>& stages, const weight_types& types) {
  weight_loader from(
      [&](auto& name) -> auto& { return folder.weight(name); }, types, bytes_of(folder, stages), options.progress,
      folder.packed() ? folder.keeper() : nullptr);
  for (auto& s : stages)
    if (s.kind == stage_kind::adapter) {
      weight_loader adapter([&](auto& name) -> auto& { return options.adapter->weight(name); }, types, 0, {});
      layers.emplace_back(adapter, folder.config());
    } else {
      load(from, folder.config(), s);
    }
}

void stage_weights::load(weight_loader& from, const hf::model_config& c, const stage& s) {
  const std::string table = "model.embed_tokens.weight";
  if (s.kind == stage_kind::embedding)
    embedding = from.matrix(table);
  if (s.kind == stage_kind::head) {
    norm = from.vector("model.norm.weight");
    bool shared = c.tie_word_embeddings && embedding.defined();
    head = shared ? embedding : from.matrix(c.tie_word_embeddings ? table : "lm_head.weight");
  }
  for (auto i = s.first; s.kind == stage_kind::layers && i < s.last; ++i)
    layers.emplace_back(from, c, i);
}

} // namespace virga::models::torch_impl
