// actors/link/link.hpp: the LINK actor. It carries calls and answers of local stubs to the peer and back; link_protocol
// decides what is sent when, a transport moves the bytes.
#pragma once

#include "actors/link/protocol.hpp"
#include "actors/link/transport.hpp"
#include "actors/node/config.hpp"

#include <caf/stateful_actor.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <tuple>

namespace virga {

using link_actor = link::extend_with<pipe_events>;

/// Makes the pipe of one link; its events go to `events`. node_parts has one.
using transport_factory = std::function<std::unique_ptr<transport>(const link_config&, pipe_events events)>;

struct link_options {
  link_config config;
  hello own;               ///< what this node says of itself, with the roles that it offers the peer at start
  std::uint64_t seed = 0;  ///< of the jitter
  std::size_t queue_bytes = link_defaults::queue_bytes;
};

/// Counted for status and tests.
struct link_counters {
  std::uint64_t late_answers = 0;     ///< from the peer, nobody waits for them any more
  std::uint64_t foreign_sessions = 0; ///< frames for sessions that this peer never opened
};

struct link_state {
  explicit link_state(link_actor::pointer self) : self{self} {}

  // -- what the behaviour calls --
  template <class T>
  void ask(call<T>& c);  // generate, open_session, verify
  template <class T>
  void tell(call<T>& c); // close_session, cancel
  void answer_peer(answer& a);
  void run(std::vector<link_action> actions);
  void tick();

  // -- actions of the protocol --
  void act(open_pipe&);
  void act(close_pipe&);
  void act(send_bytes&);
  void act(deliver_frame&);
  void act(undelivered&);
  void act(peer_up&);
  void act(peer_roles&);
  void act(peer_down&);

  // -- frames of the peer --
  template <class T>
  void request(const header& hdr, T& body);
  void answered(const header& hdr, answer_body body);
  bool opened_here(const header& hdr);
  void remember_session(const session_id& id);
  void refuse(const header& hdr, ec code, std::string text);

  // -- helpers --
  using call_key = std::tuple<session_id, role, std::uint32_t, std::uint32_t>;  // session, target, epoch, unit
  struct waiting { header hdr; sink reply; };
  time_point now() const;
  void send(const header& hdr, payload body);
  void fail(const header& hdr, const sink& reply, failure why);
  void fail_overdue();
  void tell_node();
  void schedule();
  peer_state current() const;

  link_actor::pointer self;
  link_config config;
  node parent;
  offered_roles offered;
  std::unique_ptr<link_protocol> protocol;
  std::unique_ptr<transport> pipe;
  std::map<call_key, waiting> calls;      // outstanding at the peer
  std::set<session_id> sessions;          // opened here by the peer
  std::deque<session_id> session_order;   // the same, oldest first
  std::vector<role_status> peer_roles_now;
  std::string down_reason = "not connected yet";
  time_point next_tick = time_point::max();
  link_counters counters;
};

/// Spawn with these arguments. Opens its pipe at once; tells `parent` whenever the peer comes, goes or changes its roles.
link_actor::behavior_type make_link(link_actor::stateful_pointer<link_state> self, link_options options,
                                    transport_factory make_transport, node parent, offered_roles offered);

} // namespace virga
