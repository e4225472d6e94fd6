// actors/interfaces.hpp: every typed handle, one comment per handler: reading this is reading the architecture.
//
//   client --HTTP--> GATEWAY --> [SESSION HOST] --> SESSION --> [GENERATOR] --> [ENGINE]              cloud, edge
//                                     |                \-----> [DRAFTER] ---> [ENGINE]               split, hat
//                                     |                            \--> [VERIFIER] --> [ENGINE]
//                                     \--> RELAY --> [SESSION HOST] of the peer                       cloud, from an edge
//   [X] is always a STUB for X: a local actor with X's interface whose target may be an actor of this node, a LINK to the
//   peer site or a NEIGHBOUR, another node of this site (actors/site/neighbour.hpp). Roles hold stubs only and never learn where X is. See calls.hpp for the contract of a call.
#pragma once

#include "actors/calls.hpp"
#include "messages/type_ids.hpp"

#include <caf/atom.hpp>
#include <caf/typed_actor.hpp>

#include <optional>

namespace virga {

// -- atoms (at most 10 letters) ----------------------------------------------------------------------------------------

using target_atom = caf::atom_constant<caf::atom("target")>;
using lost_atom = caf::atom_constant<caf::atom("lost")>;
using forget_atom = caf::atom_constant<caf::atom("forget")>;
using tick_atom = caf::atom_constant<caf::atom("tick")>;
using begin_atom = caf::atom_constant<caf::atom("begin")>;
using end_atom = caf::atom_constant<caf::atom("end")>;
using roles_atom = caf::atom_constant<caf::atom("roles")>;
using peer_atom = caf::atom_constant<caf::atom("peer")>;
using stats_atom = caf::atom_constant<caf::atom("stats")>;
using drain_atom = caf::atom_constant<caf::atom("drain")>;

// -- roles -------------------------------------------------------------------------------------------------------------

/// SESSION HOST: owns this site's sessions; spawns one SESSION per request.
using session_host = caf::typed_actor<
  // Answers a prompt: `tokens` with text, in order and once, then one `outcome`. ec::queue_full at capacity. Asked again
  // with a higher epoch and the tokens that have come (`answered`), it goes on behind them.
  caf::reacts_to<call<generate>>,
  // The client went away: the session ends as cancelled and frees what it holds on every node.
  caf::reacts_to<call<cancel>>>;

/// GENERATOR: plain generation with a whole model (`cloud`, `edge`).
/// DRAFTER: the device side of `split` and `hat`: input and output stages here, the middle at the VERIFIER.
using token_source = caf::typed_actor<
  // Continues the tokens: `tokens` one by one, then one `outcome` (finish, times, places, round trips) or `failure`.
  caf::reacts_to<call<complete>>,
  // Stops the session's generation; its outcome is ec::cancelled.
  caf::reacts_to<call<cancel>>>;
using generator = token_source;
using drafter = token_source;

/// VERIFIER: the cloud side of `split` and `hat`: sequences over the middle stages. Sees hidden states, never tokens.
using verifier = caf::typed_actor<
  // Opens or re-opens a session: `opened`. ec::model_mismatch names both values, ec::stale_epoch an older placement.
  caf::reacts_to<call<open_session>>,
  // Runs rows: `verified`. Safe to repeat. ec::unknown_session, ec::stale_position, ec::bad_tensor, ec::out_of_pages.
  caf::reacts_to<call<verify>>,
  // Forgets the session and frees its pages. Not answered.
  caf::reacts_to<call<close_session>>>;

/// What an engine's prefix cache holds and did; see engine/prefix_cache.hpp.
struct prefix_stats {
  std::uint64_t bytes = 0;  ///< that only it needs: given up as soon as a sequence wants them, and no part of kv_bytes
  std::uint64_t texts = 0, asked_tokens = 0, saved_tokens = 0, hits = 0, evictions = 0;
};

/// What an engine is doing; for status and readiness.
struct engine_stats {
  std::uint64_t steps = 0, rows = 0, sequences = 0, waiting = 0, kv_bytes = 0, kv_bytes_limit = 0;
  std::string name{};  ///< of the manifest; filled by the node
  prefix_stats prefixes{};
};

/// ENGINE: owns one shard, batches continuously, is the only one that touches tensors. Detached by its parent.
using engine = caf::typed_actor<
  // Runs one segment: `stepped`. ec::stale_position, ec::out_of_pages, ec::bad_tensor, ec::model_error, ec::queue_full.
  caf::reacts_to<call<engine_step>>,
  // Generates from the prompt until stop, limit or cancel: `tokens`..., then `run_done`.
  caf::reacts_to<call<engine_run>>,
  // Stops the session's run: `run_done` is replaced by failure ec::cancelled. Frees the sequence of a run.
  caf::reacts_to<call<cancel>>,
  // Frees the session's sequence (of owner hdr.incarnation). Not answered.
  caf::reacts_to<call<close_session>>,
  // A role died: frees all sequences of this owner.
  caf::reacts_to<forget_atom, std::uint64_t>>;

/// What the engine actor has beside the role's interface; only itself and its NODE use it. make_engine returns this.
using engine_actor = engine::extend_with<caf::typed_actor<
  // Begins the next step with everything that waits; the engine sends it to itself.
  caf::reacts_to<begin_atom>,
  // Ends the step begun: delivers its results. Apart from `begin`, so that a charged cost or a crash can fall between.
  caf::reacts_to<end_atom>,
  // For status and readiness.
  caf::replies_to<stats_atom>::with<engine_stats>>>;

// -- stubs -------------------------------------------------------------------------------------------------------------

/// A role's STUB: Role's interface and this. Bounded pending table; one tick fails what is overdue; a lost target fails
/// everything that it was asked with ec::peer_unreachable at once; calls without a target are answered so too. A role with
/// replicas has one stub that knows a way to each; a session stays with its replica while that runs.
template <class Role>
using stub_of = typename Role::template extend_with<caf::typed_actor<
  // An answer of the target, passed to whoever waits for it; late ones are dropped and counted.
  caf::reacts_to<answer>,
  // The role runs (again): here is its handle and incarnation. The first number says which replica it is, from 0.
  caf::reacts_to<target_atom, std::uint32_t, Role, std::uint64_t>,
  // The replica of this number is gone; the text says why.
  caf::reacts_to<lost_atom, std::uint32_t, std::string>,
  // Fails what is overdue.
  caf::reacts_to<tick_atom>>>;

// -- links -------------------------------------------------------------------------------------------------------------

/// What a link has seen and holds, since its start.
struct link_counts {
  std::uint64_t connections = 0;        ///< that came up
  std::uint64_t refusals = 0;           ///< handshakes refused, by either side
  std::uint64_t broken_streams = 0;     ///< connections ended for bytes that are no frames
  std::uint64_t duplicates = 0;         ///< messages that came twice
  std::uint64_t out_of_order = 0;
  std::uint64_t stale_incarnations = 0; ///< requests for an instance of a role that no longer runs
  std::uint64_t stale_epochs = 0;       ///< requests of a placement that a newer one has replaced
  std::uint64_t foreign_sessions = 0;   ///< requests for sessions that this peer never opened on this link
  std::uint64_t refused_frames = 0;     ///< sound frames with contents beyond a limit; answered
  std::uint64_t late_answers = 0;       ///< from the peer, nobody waits for them any more
  std::uint64_t lost_answers = 0;       ///< of local roles, that could not be sent
  std::uint64_t bytes_out = 0;          ///< of data frames
  std::uint64_t bytes_in = 0;
  std::uint64_t queued_bytes = 0;       ///< of messages that wait now
  std::uint64_t under_way_bytes = 0;    ///< sent and not credited now
  std::uint64_t window_bytes = 0;       ///< of bulk that may be
};

/// State of the peer behind a link, sent to the node at each change.
struct peer_state {
  std::string site;               ///< the peer's
  std::string node;
  bool up = false;
  std::string reason;             ///< why it is down, one sentence
  std::vector<role_status> roles; ///< what the peer offers now
  traffic quality;
  link_counts counts;
};

/// LINK: the one connection to a peer site. Conforms to every role that can live across it, so it can be a stub's
/// target; hdr.target says which role is meant. Calls while the peer is down: ec::peer_unreachable.
using link = caf::typed_actor<
  caf::reacts_to<call<generate>>,
  caf::reacts_to<call<open_session>>,
  caf::reacts_to<call<verify>>,
  caf::reacts_to<call<close_session>>,
  caf::reacts_to<call<cancel>>,
  // An answer of a local role to a call that came from the peer.
  caf::reacts_to<answer>,
  // The roles offered to the peer changed; sent on in a `status` frame.
  caf::reacts_to<roles_atom, std::vector<role_status>>,
  // Heartbeats, time-outs, reconnects.
  caf::reacts_to<tick_atom>,
  // The newest state, for status.
  caf::replies_to<stats_atom>::with<peer_state>>;

/// Where a link delivers the peer's calls: the stubs of the local roles offered to it. An invalid handle: not offered.
struct offered_roles {
  session_host sessions;
  verifier verify;
};

// -- node --------------------------------------------------------------------------------------------------------------

/// What runs on a node, for /status, /health and `virga status`.
struct role_report {
  std::string name;                ///< "generator", "engine cloud", ...
  bool running = false;
  std::uint64_t incarnation = 0;
  std::uint32_t restarts = 0;
  std::optional<std::uint64_t> mailbox_us{};  ///< that the node's last question waited to be read; of those that are asked
};

/// How a node restarts what crashes and how it ends, as its manifest declares.
struct supervision_report {
  std::uint32_t max_restarts = 0;  ///< of one role within this time; more: the node ends and its keeper starts it again
  std::uint32_t within_s = 0;
  std::uint32_t drain_s = 0;
};

struct node_status {
  std::string name, site, kind;
  bool ready = false;
  bool draining = false;
  std::string reason;              ///< why it is not ready
  std::vector<strategy> strategies;///< served right now by a gateway of this node
  std::vector<role_report> roles;
  std::vector<peer_state> peers;
  std::vector<engine_stats> engines;
  supervision_report supervision{};
  std::vector<peer_state> neighbours{};  ///< other nodes of the site, over CAF
};

/// NODE: spawns the roles of its configuration, supervises them, ends in order.
using node = caf::typed_actor<
  // A peer came, went or changed its roles: retargets the stubs of the roles it offers.
  caf::reacts_to<peer_atom, peer_state>,
  // Everything `virga status` and the health checks show.
  caf::replies_to<stats_atom>::with<node_status>,
  // Refuse new sessions, wait for the running ones (bounded), then end.
  caf::reacts_to<drain_atom>,
  caf::reacts_to<tick_atom>>;

} // namespace virga

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::engine_stats)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::peer_state)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::node_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::vector<virga::role_status>)
