// The nodes of the profile as configurations.
#include "tests/sim/profile/world.hpp"

#include <algorithm>

namespace virga::testing {

using models::stage_kind;

std::string device_name(std::uint32_t device) { return "device-" + std::to_string(device); }
std::string cloud_name(std::uint32_t cloud) { return "cloud-" + std::to_string(cloud); }
std::string part_name(std::uint32_t cloud, std::uint32_t part) {
  return cloud_name(cloud) + "-part-" + std::to_string(part);
}

namespace {

std::string site_of(const std::string& node) { return node + "-site"; }

std::uint16_t port_of(std::uint32_t cloud, std::uint32_t part) {
  return static_cast<std::uint16_t>(1'000 + cloud * pipeline_stages + part);
}

link_config link_to(const std::string& node, bool dial, caf::timespan heartbeat) {
  link_config l;
  l.peer_node = node;
  l.peer_site = site_of(node);
  l.dial = dial;
  l.heartbeat = heartbeat;
  l.dead_after = 5 * heartbeat;
  return l;
}

node_config node_of(const std::string& name, node_kind kind) {
  node_config c;
  c.name = name;
  c.site = site_of(name);
  c.kind = kind;
  c.deployment = "profile";
  return c;
}

} // namespace

std::pair<std::uint32_t, std::uint32_t> layers_of(const decoder_model& m, std::uint32_t part) {
  auto middle = m.layers - m.device_layers, each = middle / pipeline_stages, more = middle % pipeline_stages;
  auto first = m.device_layers + part * each + std::min(part, more);
  return {first, first + each + (part < more ? 1 : 0)};
}

stage_cost part_cost(const decoder_model& m, std::uint32_t part) {
  auto [first, last] = layers_of(m, part);
  return cost_of(a6000, (last - first) * m.layer_parameters(), last - first, m);
}

std::vector<stage_cost> world::device_costs(std::uint32_t device) const {
  auto& m = options.profile.model;
  if (options.bed) {
    auto all = options.bed->device;
    if (!options.drafts())
      all.erase(all.begin() + 2);
    return all;
  }
  auto& on = is_orin(device) ? orin : xavier;
  std::vector<stage_cost> out{{}, cost_of(on, m.device_layers * m.layer_parameters(), m.device_layers, m)};
  if (options.drafts())
    out.push_back(cost_of(on, m.adapter_parameters(), 1, m));
  out.push_back(cost_of(on, m.head_parameters(), 0, m));
  return out;
}

engine_config world::engine_of(const std::string& name, cost_options costs) {
  costs.model_layers = options.profile.model.layers;
  costs.row_bytes = options.profile.model.row_bytes();
  costs.sure_share = options.bed ? options.bed->sure_share : sure_share(options.profile.tokens_a_round);
  costs.sure_least = options.bed ? options.bed->sure_least : costs.sure_least;
  engine_config c;
  c.name = name;
  c.detached = false;
  c.prefix_positions = 0;  // the systems compared here have none
  c.charge = [this, meter = costs.meter](std::uint64_t) {
    auto takes = std::chrono::nanoseconds(static_cast<std::int64_t>(meter->charge() * 1e9));
    if (!cores_)
      return takes;
    auto core = std::ranges::min_element(*cores_);
    *core = std::max(*core, now()) + takes;
    return std::chrono::nanoseconds(*core - now());
  };
  c.make = [costs = std::move(costs)] { return std::make_unique<cost_shard>(costs); };
  return c;
}

role_config world::verifier_role() const {
  auto& m = options.profile.model;
  role_config r;
  r.kind = role::verifier;
  r.serves = strategy::split;  // that of `split` answers `hat` too
  r.model_digest = cost_shard::digest;
  r.first_layer = m.device_layers;
  r.last_layer = m.layers;
  r.hidden = m.row_bytes() / 4;
  r.stage_count = 1;
  r.warm_up = true;
  r.chunk_rows = options.how == method::u_shape || options.how == method::speculative ? 0 : 512;
  return r;
}

node_config world::cloud_config(std::uint32_t cloud) {
  auto c = node_of(cloud_name(cloud), node_kind::cloud);
  auto r = verifier_role();
  if (options.bed) {
    cost_options costs;
    costs.stages = {{stage_kind::layers, r.first_layer, r.last_layer}};
    costs.costs = {options.bed->cloud};
    c.engines.push_back(engine_of("middle", std::move(costs)));
    r.engine = "middle";
  }
  for (std::uint32_t p = 0; p < pipeline_stages && !options.bed; ++p) {
    auto [first, last] = layers_of(options.profile.model, p);
    r.parts.push_back({{part_name(cloud, p)}, first, last});
    c.neighbours.push_back({part_name(cloud, p), true, "", port_of(cloud, p)});
  }
  c.roles.push_back(std::move(r));
  for (auto d = cloud; d < options.devices; d += options.clouds)
    c.links.push_back(link_to(device_name(d), false, options.heartbeat));
  return c;
}

node_config world::stage_config(std::uint32_t cloud, std::uint32_t part) {
  auto c = node_of(part_name(cloud, part), node_kind::cloud);
  c.site = site_of(cloud_name(cloud));
  auto [first, last] = layers_of(options.profile.model, part);
  cost_options costs;
  costs.stages = {{stage_kind::layers, first, last}};
  costs.costs = {part_cost(options.profile.model, part)};
  stages.push_back(costs.meter);
  c.engines.push_back(engine_of("middle", std::move(costs)));
  auto r = verifier_role();
  r.engine = "middle";
  r.first_layer = first;
  r.last_layer = last;
  c.roles.push_back(std::move(r));
  c.neighbours.push_back({cloud_name(cloud), false, "", 0});
  c.site_port = port_of(cloud, part);
  return c;
}

node_config world::device_config(std::uint32_t device) {
  auto c = node_of(device_name(device), node_kind::edge);
  auto& m = options.profile.model;
  cost_options costs;
  costs.stages = {{stage_kind::embedding}, {stage_kind::layers, 0, m.device_layers}};
  if (options.drafts())
    costs.stages.push_back({stage_kind::adapter, m.device_layers, m.device_layers});
  costs.stages.push_back({stage_kind::head});
  costs.costs = device_costs(device);
  role_config r = verifier_role();
  r.kind = role::drafter;
  r.serves = options.drafts() ? strategy::hat : strategy::split;
  r.engine = "device";
  r.view.tok = tok_;
  r.view.context = cost_shard::context;
  r.stage_count = static_cast<std::uint32_t>(costs.stages.size());
  r.input_stages = 2;
  r.draft.most = options.drafts() ? 6 : 0;
  r.draft.ahead = options.how == method::ahead || options.bed;
  r.draft.chunk_rows = options.chunks() ? 0 : whole_prompt;
  if (options.how < method::hat)
    r.draft.bonus_guesses = r.draft.last_guesses = 0;
  c.engines.push_back(engine_of("device", std::move(costs)));
  c.roles.push_back(std::move(r));
  c.links = {link_to(cloud_name(device % options.clouds), true, options.heartbeat)};
  return c;
}

} // namespace virga::testing
