#include "deploy/model_parts.hpp"

#include "deploy/progress_line.hpp"

#include <algorithm>

namespace virga::deploy {

using models::stage;
using models::stage_kind;

bool model_part::whole() const {
  return stages.size() == 3 && stages[0].kind == stage_kind::embedding && stages[1] == stage{stage_kind::layers, 0, layers()}
         && stages[2].kind == stage_kind::head;
}

std::optional<std::pair<std::uint32_t, std::uint32_t>> model_part::gap() const {
  if (stages.size() < 2 || stages.front().kind != stage_kind::embedding || stages.back().kind != stage_kind::head)
    return std::nullopt;
  std::uint32_t held = 0;
  for (const auto& s : std::span(stages).subspan(1, stages.size() - 2)) {
    if (s.kind != stage_kind::layers || s.first != held)
      return std::nullopt;
    held = s.last;
  }
  if (held == layers())
    return std::nullopt;
  return std::pair(held, layers());
}

std::optional<std::pair<std::uint32_t, std::uint32_t>> model_part::middle() const {
  if (stages.size() != 1 || stages[0].kind != stage_kind::layers)
    return std::nullopt;
  return std::pair(stages[0].first, stages[0].last);
}

std::optional<std::pair<std::uint32_t, std::uint32_t>> model_part::gap_from(std::uint64_t split) const {
  if (split == 0)
    return gap();
  if (stages.size() < 2 || stages.front().kind != stage_kind::embedding || stages.back().kind != stage_kind::head || split >= layers())
    return std::nullopt;
  std::uint32_t held = 0;  // of the layers before the split, without a gap
  for (const auto& s : std::span(stages).subspan(1, stages.size() - 2))
    if (held < split && s.first == held && s.last <= split)
      held = s.last;
    else if (held < split || s.first < split)
      return std::nullopt;
  if (held != split)
    return std::nullopt;
  return std::pair(held, layers());
}

std::uint32_t model_part::stages_before(std::uint32_t first) const {
  return static_cast<std::uint32_t>(std::count_if(stages.begin(), stages.end() - 1, [&](const stage& s) {
    return s.kind == stage_kind::embedding || s.last <= first;
  }));
}

std::string model_part::text() const {
  auto all = stages;
  if (adapter)
    all.insert(all.end() - 1, {stage_kind::adapter, adapter->split(), adapter->split()});
  return models::describe(all);
}

std::optional<model_part> model_parts::of(const engine_entry& engine, problems& found) {
  auto part = stages_of(engine, found);
  if (part && engine.adapter && !add_adapter(*part, engine, found))
    return std::nullopt;
  return part;
}

bool model_parts::add_adapter(model_part& part, const engine_entry& engine, problems& found) {
  try {
    auto& adapter = adapters_[engine.adapter.value];
    if (!adapter) {
      adapter = std::make_shared<models::hf::adapter_folder>(engine.adapter.value);
      adapter->check(*part.folder);
    }
    auto gap = part.gap();
    if (!gap || gap->first != adapter->split())
      throw models::bad_model(engine.adapter.value + ": the adapter stands behind " + std::to_string(adapter->split())
                              + " layers, and engine `" + engine.name.value + "` holds " + models::describe(part.stages)
                              + ": give it the stages embedding,0-" + std::to_string(adapter->split() - 1) + ",head");
    part.adapter = adapter;
    return true;
  } catch (const std::exception& e) {
    found.push_back({engine.adapter.at, e.what()});
    return false;
  }
}

/// A quantised folder runs in its dtype, on the torch shard.
bool model_parts::runs_in(const model_part& part, const engine_entry& engine, problems& found) const {
  try {
    part.folder->need_dtype(part.compute);
    if (engine.reference)
      part.folder->need_numbers("`shard: reference`");
    return true;
  } catch (const models::bad_model& e) {
    found.push_back({engine.compute ? engine.compute_at : engine.model.at, e.what()});
    return false;
  }
}

std::optional<model_part> model_parts::stages_of(const engine_entry& engine, problems& found) {
  model_part part;
  try {
    auto& folder = folders_[engine.model.value];
    if (!folder)
      folder = std::make_shared<models::hf::model_folder>(engine.model.value, progress_line());
    folder->wait_for_check();
    part.folder = folder;
    part.stages = folder->stages();
  } catch (const std::exception& e) {
    found.push_back({engine.model.at, e.what()});
    return std::nullopt;
  }
  part.compute = engine.compute.value_or(part.folder->packed().value_or(dtype::f32));
  if (!runs_in(part, engine, found))
    return std::nullopt;
  if (!engine.stages)
    return part;
  try {
    part.stages = models::hf::parse_stages(engine.stages.value, part.layers());
  } catch (const std::exception& e) {
    found.push_back({engine.stages.at, e.what()});
    return std::nullopt;
  }
  part.cut = part.stages != part.folder->stages();
  if (part.cut && !model_part{part.folder, part.folder->stages(), false}.whole()) {
    found.push_back({engine.stages.at, "`stages` asks for " + models::describe(part.stages) + ", the folder holds only "
                                         + models::describe(part.folder->stages()) + ": name the whole model, or leave `stages` out"});
    return std::nullopt;
  }
  return part;
}

} // namespace virga::deploy
