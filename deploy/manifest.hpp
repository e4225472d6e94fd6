// deploy/manifest.hpp: a deployment as its user wrote it. docs/manifest.md describes every key; manifests/demo.yaml is
// an example. Reading checks everything that needs no model folder; plan.hpp checks the folders and makes node configs.
#pragma once

#include "actors/node/config.hpp"
#include "deploy/yaml_map.hpp"

#include <filesystem>
#include <stdexcept>

namespace virga::deploy {

/// A manifest (or a folder that it names) that cannot be used. what() has one line per mistake:
/// "file:line:column: what is wrong (both values), what to do", in the order of the file.
struct bad_manifest : std::runtime_error {
  bad_manifest(const std::filesystem::path& file, problems found);
  std::size_t count;
};

struct engine_entry {
  marked<std::string> name;
  marked<std::string> model;   ///< folder, absolute
  marked<std::string> stages;  ///< empty: all that the folder holds; else the part of it that this node gets
  marked<std::string> adapter; ///< folder, absolute; empty: none. Of a drafter's engine: what it drafts with
  std::optional<dtype> compute;  ///< of weights; nothing: that of a quantised folder, else f32 (model_part)
  mark compute_at;
  std::optional<dtype> kv{};   ///< of KV; none: as the weights' dtype says
  std::string device = "cpu";  ///< or "cuda:N"
  bool reference = false;      ///< the plain C++ shard in place of libtorch's
  std::uint64_t kv_mb = 0;
  bool prefix_cache = true;    ///< beginnings of prompts that were seen before are not computed again
};

struct role_entry {
  role kind = role::generator;
  strategy serves = strategy::cloud;
  marked<std::string> engine;              ///< empty where there are nodes
  std::vector<marked<std::string>> nodes;  ///< of the site, that do it in the place of this one
  bool in_turn = false;                    ///< `pipeline`: each holds a part of the layers; else (`replicas`) each holds all
  draft_config draft{};                    ///< of a drafter
  std::optional<dtype> wire{};             ///< of a drafter's hidden rows on the link
  marked<std::uint64_t> split;             ///< of a drafter: the cloud's first layer; 0: the first that its engine does not hold
  std::uint32_t chunk_rows = 512;          ///< of a verifier
  mark at;
};

struct gateway_entry {
  std::string host;
  std::uint16_t port = 0;
  marked<std::string> api_keys_file;  ///< absolute; empty: no keys asked for
  mark at;
};

struct listen_entry {
  std::string host;
  std::uint16_t port = 0;
  mark at;
};

struct node_entry {
  marked<std::string> name;
  marked<std::string> site;
  std::string machine;  ///< which machine runs it; "local" when there is only one
  node_kind kind = node_kind::edge;
  std::uint64_t threads = 1;
  std::optional<listen_entry> listen;       ///< where edges dial
  std::optional<listen_entry> site_listen;  ///< where other nodes of the site come
  std::optional<gateway_entry> gateway;
  std::vector<engine_entry> engines;
  std::vector<role_entry> roles;
  bool sound = true;  ///< false: something in it was refused, so that more complaints would only confuse
};

/// One link; the edge node `from` dials the cloud node `to`.
struct link_entry {
  marked<std::string> from, to;
  link_config settings;  ///< as the dialing side has it, without names and port
  mark at;
};

struct limits_entry {
  std::uint64_t max_sessions = 256, max_requests = 64, deadline_s = 60, patience_ms = 1500;
};

struct manifest {
  std::filesystem::path file;  ///< absolute
  std::filesystem::path base;  ///< what its paths are relative to, absolute
  std::string text;            ///< as read
  std::string deployment;
  marked<std::string> certs;   ///< "auto", or a folder (absolute)
  std::vector<node_entry> nodes;
  std::vector<link_entry> links;
  supervision restarts;
  std::uint64_t drain_s = 10;
  limits_entry limits;

  /// nullptr when there is none
  const node_entry* find(const std::string& name) const;

  /// The nodes of its site that `node` dials: those that do a role in its place. Each once, in the order of the file.
  std::vector<std::string> dials(const node_entry& node) const;
  /// The nodes of its site that dial `node`.
  std::vector<std::string> dialed_by(const node_entry& node) const;
};

/// The role of this kind that the node does itself; nullptr when there is none.
const role_entry* own_role(const node_entry& node, role kind);

/// @param base what the manifest's paths are relative to; empty: the file's folder
/// @throws bad_manifest with all that is wrong; bad_input when the file cannot be read
manifest load_manifest(const std::filesystem::path& file, const std::filesystem::path& base = {});

/// What contradicts itself across entries: names, ports, links, roles, strategies. Part of load_manifest.
void check_manifest(const manifest& m, problems& found);

} // namespace virga::deploy
