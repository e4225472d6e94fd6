// actors/node/config.hpp: one node as plain values. deploy/ makes it from the manifest; tests and the simulation make it by hand.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/link/shape.hpp"
#include "actors/planted.hpp"
#include "actors/roles/draft_config.hpp"
#include "models/chat_template.hpp"
#include "models/defaults.hpp"
#include "models/make_shard.hpp"
#include "models/tokenizer.hpp"

#include <caf/timespan.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace virga {

enum class node_kind : std::uint8_t { cloud, edge };

/// How often a role may crash before its node gives up and ends with a sentence.
struct supervision {
  std::uint32_t max_restarts = 3;
  caf::timespan within = std::chrono::seconds(30);
};

/// An engine and the shard it owns. `make` is called at start and at each restart, on the engine's own thread.
struct engine_config {
  std::string name;                                        ///< "cloud", "edge-s", "split"; unique in the node
  std::function<std::unique_ptr<models::shard>()> make;    ///< throws bad_model
  std::uint32_t batch_rows = 2048;                         ///< rows of one step at most
  std::uint32_t prefill_rows = 512;                        ///< of these, prefill rows of one sequence at most
  std::uint32_t waiting = 1024;                            ///< calls that may wait; more: ec::queue_full
  /// A prompt's beginning of so many positions that the engine has seen is not computed again (a page: nothing is
  /// copied); 0: it is.
  std::uint32_t prefix_positions = models::defaults::kv_page_positions;
  /// Virtual time that a step of so many rows is charged; empty in production (a step costs what it costs).
  std::function<caf::timespan(std::uint64_t rows)> charge;
  bool detached = true;                                    ///< false in tests and the simulation
  planted_bug planted = planted_bug::none;
};

/// The model as sessions see it: what a strategy tokenises with and stops at.
struct model_view {
  std::shared_ptr<const models::tokenizer> tok;
  std::vector<token_id> stop;
  std::uint32_t context = 0;                  ///< positions
  std::uint32_t vocab = UINT32_MAX;           ///< of the model: bounds the ids of logit_bias
  models::hf::generation_defaults defaults;
  std::shared_ptr<const models::chat_template> chat;  ///< nullptr: messages cannot be answered
  std::string chat_error;                     ///< why not
};

/// A piece of a role that runs on other nodes of the site: each of them holds all of it, so any of them will do.
struct role_part {
  std::vector<std::string> nodes;
  std::uint32_t first_layer = 0;  ///< of a verifier: decoder layers [first_layer, last_layer)
  std::uint32_t last_layer = 0;
};

/// One role of the node and the engine it uses. The session host is no entry: each node has one.
struct role_config {
  role kind = role::generator;
  strategy serves = strategy::cloud;  ///< generator: cloud or edge; drafter, verifier: split
  std::string engine;                 ///< name of an engine_config; empty where there are parts
  /// Runs elsewhere in the site: a generator in one part, a verifier in one or, as pipeline stages, in several.
  std::vector<role_part> parts{};
  model_view view;                    ///< of generators and drafters
  // What this role's side of the model is; drafters and verifiers compare it in `hello` and `open_session`.
  std::string model_digest;
  std::uint32_t first_layer = 0;      ///< of the cloud's part, decoder layers [first_layer, last_layer)
  std::uint32_t last_layer = 0;
  std::uint32_t hidden = 0;
  dtype compute = dtype::f32;
  std::uint32_t stage_count = 0;      ///< stages of its engine's shard
  std::uint32_t input_stages = 0;     ///< of a drafter: those before the cloud's part; 0: all but the head
  draft_config draft{};               ///< of a drafter
  std::optional<dtype> wire{};        ///< of a drafter's hidden rows on the link; none: `compute`
  std::uint32_t chunk_rows = 512;     ///< of a verifier: rows of a prompt in one step at most, others get their turn between; 0: all
  bool warm_up = false;               ///< of a verifier: times batches of many sizes before there are devices
  std::string stages;                 ///< for people: "embedding, layers 0-1, head"
  planted_bug planted = planted_bug::none;
};

/// How this node reaches or is reached by one peer site.
struct link_config {
  std::string peer_site;
  std::string peer_node;        ///< must be a name in the peer's certificate
  bool dial = true;             ///< the edge dials, the cloud accepts
  std::string host;             ///< dial: address of the peer
  std::uint16_t port = 0;       ///< dial: port of the peer
  link_shape shape{};           ///< dial: what the shaper before the peer does at first
  bool shaped = false;          ///< dial: through a shaper even when that is nothing, to be controlled live
  caf::timespan heartbeat = std::chrono::milliseconds(500);
  caf::timespan dead_after = std::chrono::milliseconds(2500);
  caf::timespan backoff_min = std::chrono::milliseconds(100);
  caf::timespan backoff_max = std::chrono::seconds(1);
  dtype wire = dtype::f32;
  planted_bug planted = planted_bug::none;
};

/// Another node of this site, reached through CAF's middleman.
struct neighbour_config {
  std::string node;
  bool dial = true;         ///< false: it comes to this node's site port
  std::string host;         ///< dial: its address
  std::uint16_t port = 0;   ///< dial: its site port
  caf::timespan backoff_min = std::chrono::milliseconds(100);
  caf::timespan backoff_max = std::chrono::seconds(1);
};

/// Files of this node's identity; all three are needed, without them no link starts.
struct tls_config {
  std::string ca_file, cert_file, key_file;
};

/// HTTP. The admin side (/health, /status) is always served; /v1 only where `api` is set.
struct gateway_config {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;                 ///< 0: any free port
  bool api = false;
  std::vector<std::string> api_keys;      ///< required off loopback
  std::uint32_t max_requests = 64;        ///< being answered at once; more: 429 with Retry-After
  caf::timespan deadline = std::chrono::seconds(60);  ///< of a request that names none
  std::string port_file;                  ///< where the port bound is written, for `virga status`; empty: nowhere
};

/// Sessions of this site.
struct session_config {
  std::uint32_t max_sessions = 256;  ///< more: ec::queue_full
  /// How long a session waits for a lost peer to come back before it gives up with ec::peer_unreachable.
  caf::timespan patience = std::chrono::milliseconds(1500);
  planted_bug planted = planted_bug::none;
};

struct node_config {
  std::string deployment;
  std::string name, site;
  node_kind kind = node_kind::edge;
  std::vector<engine_config> engines;
  std::vector<role_config> roles;
  std::vector<link_config> links;
  std::string listen_host;           ///< cloud: where peers dial; empty: no listener
  std::uint16_t listen_port = 0;
  tls_config tls;
  std::vector<neighbour_config> neighbours;
  std::string site_host;             ///< where neighbours come that dial; used with site_port
  std::uint16_t site_port = 0;       ///< 0: none come
  tls_config site_tls;               ///< of the site's own CA; needed with neighbours
  std::vector<gateway_config> gateways;
  session_config sessions;
  supervision restarts;
  caf::timespan drain = std::chrono::seconds(30);
  std::uint64_t seed = 0;            ///< of ids and jitter; 0: from the operating system
  planted_bug planted = planted_bug::none;
  std::string state_dir;             ///< where this node may write its port files; empty: nowhere
};

} // namespace virga
