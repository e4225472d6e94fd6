#include "tests/sim/sim_strategy.hpp"

#include "models/make_shard.hpp"

#include <algorithm>
#include <stdexcept>

namespace virga::testing {

namespace {

std::vector<sim_strategy>& registered() {
  static std::vector<sim_strategy> all;
  return all;
}

} // namespace

register_strategy::register_strategy(sim_strategy s) {
  auto& all = registered();
  all.insert(std::ranges::upper_bound(all, s.how, {}, &sim_strategy::how), std::move(s));
}

const std::vector<sim_strategy>& sim_strategies() { return registered(); }

const sim_strategy& find_strategy(strategy how) {
  auto it = std::ranges::find(registered(), how, &sim_strategy::how);
  if (it == registered().end())
    throw std::logic_error("no file in tests/sim/strategies brings " + std::string{to_string(how)});
  return *it;
}

std::vector<std::string> parts_of(const sim_strategy& s, const sim_models& models, bool cloud) {
  node_config c;
  (cloud ? s.at_cloud : s.at_edge)(models, c);
  std::vector<std::string> names;
  for (auto& e : c.engines)
    names.push_back("engine " + e.name);
  for (auto& r : c.roles)
    names.push_back(std::string{to_string(r.kind)} + " " + std::string{to_string(r.serves)});
  return names;
}

engine_config sim_engine(const std::string& name, std::shared_ptr<const models::hf::model_folder> folder,
                         std::vector<models::stage> stages) {
  engine_config c;
  c.name = name;
  c.detached = false;
  c.make = [folder, stages] {
    models::shard_options o;
    o.stages = stages;
    return models::make_reference_shard(*folder, o);
  };
  c.prefix_positions = 2;  // the short prompts here share beginnings too, and answers must not show it
  c.charge = [](std::uint64_t rows) { return std::chrono::microseconds(1500 + 100 * rows); };
  return c;
}

role_config sim_role(const sim_models& models, role kind, strategy how, const std::string& engine,
                     const models::hf::model_folder& folder) {
  role_config r;
  r.kind = kind;
  r.serves = how;
  r.engine = engine;
  r.view.tok = models.tok;
  r.view.stop = {2};
  r.view.context = folder.config().max_position_embeddings;
  r.model_digest = folder.digest();
  r.first_layer = sim_models::cut;
  r.last_layer = folder.config().num_hidden_layers;
  r.hidden = folder.config().hidden_size;
  r.stage_count = kind == role::verifier ? 1 : 3;
  return r;
}

} // namespace virga::testing
