#include "deploy/plan.hpp"

#include "actors/link/certificates.hpp"
#include "deploy/failures.hpp"
#include "deploy/progress_line.hpp"
#include "models/memory.hpp"

#include <algorithm>
#include <fstream>

namespace virga::deploy {
namespace fs = std::filesystem;
namespace {

model_part part_of(const manifest& m, const engine_entry& e, model_parts& parts) {
  problems found;
  if (auto part = parts.of(e, found))
    return *part;
  throw bad_manifest(m.file, std::move(found));
}

/// @param cut the folder of its stages, when they are not what the manifest's folder holds
engine_config make_engine(const engine_entry& e, const model_part& part, const fs::path& cut) {
  auto whole = part.cut ? nullptr : part.folder;
  engine_config c;
  c.name = e.name.value;
  c.prefix_positions = e.prefix_cache ? c.prefix_positions : 0;
  models::shard_options options;
  options.compute = part.compute;
  options.kv = e.kv;
  options.kv_bytes = e.kv_mb * 1024 * 1024;
  options.device = e.device;
  options.progress = progress_line();
  options.adapter = part.adapter;
  c.make = [whole, cut, options, reference = e.reference, rows = c.batch_rows] {
    auto folder = whole ? whole : std::make_shared<const models::hf::model_folder>(cut, options.progress);
    models::check_memory(*folder, options, rows, models::free_memory_on(options.device));
    return reference ? models::make_reference_shard(*folder, options) : models::make_torch_shard(*folder, options);
  };
  return c;
}

model_view make_view(const models::hf::model_folder& folder) {
  model_view v;
  v.tok = models::load_tokenizer(folder.dir());
  v.stop = folder.generation().eos;
  v.context = folder.config().max_position_embeddings;
  v.defaults = folder.generation();
  v.vocab = folder.config().vocab_size;
  try {
    v.chat = models::load_chat_template(folder.dir());
    v.chat_error = "the model has no chat template";
  } catch (const models::bad_model& e) {
    v.chat_error = e.what();
  }
  return v;
}

role_config make_role(const role_entry& r, const model_part& part) {
  role_config c;
  c.kind = r.kind;
  c.serves = r.serves;
  c.engine = r.engine.value;
  c.model_digest = part.folder->digest();
  auto cloud_part = r.kind == role::drafter ? part.gap_from(r.split.value) : r.kind == role::verifier ? part.middle() : std::nullopt;
  std::tie(c.first_layer, c.last_layer) = cloud_part.value_or(std::pair(0u, 0u));
  c.hidden = part.folder->config().hidden_size;
  c.compute = part.compute == dtype::f64 ? dtype::f64 : dtype::f32;  // rows of a shard with bf16 weights are f32
  c.stages = part.text();
  c.stage_count = static_cast<std::uint32_t>(part.stages.size()) + (part.adapter ? 1 : 0);
  c.input_stages = r.kind == role::drafter ? part.stages_before(c.first_layer) : 0;
  c.draft = r.draft;
  c.wire = r.wire;
  c.chunk_rows = r.chunk_rows;
  c.warm_up = r.kind == role::verifier;
  return c;
}

/// A role that other nodes of the site do: the model is theirs.
role_config make_far_role(const manifest& m, const role_entry& r, model_parts& parts) {
  role_config all;
  for (const auto& name : r.nodes) {
    const auto& at = *m.find(name.value);
    const auto& own = *own_role(at, r.kind);
    const auto& e = *std::find_if(at.engines.begin(), at.engines.end(),
                                  [&](const engine_entry& x) { return x.name.value == own.engine.value; });
    auto one = make_role(own, part_of(m, e, parts));
    if (all.parts.empty() || r.in_turn)
      one.parts = {{{}, one.first_layer, one.last_layer}};
    if (all.parts.empty()) {
      all = std::move(one);
      all.engine.clear();
    } else if (r.in_turn) {
      all.parts.push_back(one.parts.front());
      all.last_layer = one.last_layer;
    }
    all.parts.back().nodes.push_back(name.value);
  }
  return all;
}

/// As this node sees it; only the dialing side shapes the link.
link_config make_link(const manifest& m, const link_entry& l, const node_entry& self) {
  auto c = l.settings;
  c.dial = l.from.value == self.name.value;
  const auto& peer = *m.find(c.dial ? l.to.value : l.from.value);
  c.peer_node = peer.name.value;
  c.peer_site = peer.site.value;
  if (c.dial) {
    c.port = peer.listen->port;
    if (c.host.empty())
      c.host = peer.listen->host;
  } else {
    c.host.clear();
    c.shape = {};
    c.shaped = false;
  }
  return c;
}

std::vector<std::string> read_keys(const fs::path& file) {
  std::ifstream in(file);
  std::vector<std::string> keys;
  for (std::string line; std::getline(in, line);) {
    line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty() && line.front() != '#')
      keys.push_back(line);
  }
  if (keys.empty())
    throw bad_input(file.string() + " holds no API key: write one key a line into it");
  return keys;
}

/// /health and /status on any free loopback port, and /v1 where the manifest wants it.
std::vector<gateway_config> make_gateways(const manifest& m, const node_entry& n, const run_dir& dir) {
  gateway_config admin;
  admin.port_file = dir.node(n.name.value) / "admin.port";
  std::vector<gateway_config> all{admin};
  if (!n.gateway)
    return all;
  gateway_config api;
  api.host = n.gateway->host;
  api.port = n.gateway->port;
  api.api = true;
  if (n.gateway->api_keys_file)
    api.api_keys = read_keys(n.gateway->api_keys_file.value);
  api.max_requests = static_cast<std::uint32_t>(m.limits.max_requests);
  api.deadline = std::chrono::seconds(m.limits.deadline_s);
  api.port_file = dir.node(n.name.value) / "api.port";
  all.push_back(std::move(api));
  return all;
}

void add_links(const manifest& m, const node_entry& n, node_config& c) {
  for (const auto& l : m.links)
    if (l.from.value == n.name.value || l.to.value == n.name.value)
      c.links.push_back(make_link(m, l, n));
  // The wire's dtype is the compute dtype of the part that is shared: so split gives the text of cloud.
  for (auto& l : c.links)
    for (const auto& r : c.roles)
      if (r.kind != role::generator)
        l.wire = r.compute;
}

void add_engines_and_roles(const manifest& m, const node_entry& n, const run_dir& dir, model_parts& parts, node_config& c) {
  for (const auto& e : n.engines) {
    auto part = part_of(m, e, parts);
    c.engines.push_back(make_engine(e, part, dir.part(n.name.value, e.name.value)));
    for (const auto& r : n.roles)
      if (r.engine.value == e.name.value) {
        auto& made = c.roles.emplace_back(make_role(r, part));
        if (r.kind != role::verifier)
          made.view = make_view(*part.folder);
      }
  }
}

void add_site(const manifest& m, const node_entry& n, model_parts& parts, node_config& c) {
  for (const auto& r : n.roles)
    if (!r.nodes.empty())
      c.roles.push_back(make_far_role(m, r, parts));
  for (const auto& name : m.dials(n)) {
    const auto& at = *m.find(name)->site_listen;
    c.neighbours.push_back({name, true, at.host, at.port});
  }
  for (const auto& name : m.dialed_by(n))
    c.neighbours.push_back({name, false, {}, 0});
  if (n.site_listen && !m.dialed_by(n).empty()) {
    c.site_host = n.site_listen->host;
    c.site_port = n.site_listen->port;
  }
}

tls_config identity(const fs::path& dir, const std::string& name) {
  return {dir / "ca.pem", dir / (name + ".pem"), dir / (name + ".key")};
}

} // namespace

void cut_parts(const manifest& m, const node_entry& node, const run_dir& dir, model_parts& parts) {
  for (const auto& e : node.engines) {
    auto part = part_of(m, e, parts);
    auto out = dir.part(node.name.value, e.name.value);
    if (!part.cut || fs::exists(out))
      continue;
    auto draft = fs::path(out.string() + ".tmp");
    fs::remove_all(draft);
    fs::create_directories(out.parent_path());
    models::hf::cut_folder(*part.folder, part.stages, draft, progress_line());
    fs::rename(draft, out);
  }
}

node_config make_node_config(const manifest& m, const std::string& name, const run_dir& dir, model_parts& parts) {
  const auto* n = m.find(name);
  if (!n)
    throw bad_input(m.file.string() + " has no node `" + name + "`");
  node_config c;
  c.deployment = m.deployment;
  c.name = n->name.value;
  c.site = n->site.value;
  c.kind = n->kind;
  add_engines_and_roles(m, *n, dir, parts, c);
  add_site(m, *n, parts, c);
  add_links(m, *n, c);
  if (n->listen) {
    c.listen_host = n->listen->host;
    c.listen_port = n->listen->port;
  }
  auto certs = m.certs.value == "auto" ? dir.certs() : fs::path(m.certs.value);
  c.tls = identity(certs, name);
  c.site_tls = identity(site_certificates(certs, c.site), name);
  c.gateways = make_gateways(m, *n, dir);
  c.sessions.max_sessions = static_cast<std::uint32_t>(m.limits.max_sessions);
  c.sessions.patience = std::chrono::milliseconds(m.limits.patience_ms);
  c.restarts = m.restarts;
  c.drain = std::chrono::seconds(m.drain_s);
  c.state_dir = dir.node(name);
  return c;
}

} // namespace virga::deploy
