// actors/link/peer_calls.hpp: the calls between this node and one other, both ways: what is asked there and by whom, what is
// asked from there and whose it is. Part of the actors that carry them: LINK to another site, NEIGHBOUR to a node of the same.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/link/defaults.hpp"
#include "actors/link/peer_sessions.hpp"

#include <caf/local_actor.hpp>

#include <map>
#include <string>
#include <tuple>

namespace virga {

/// How messages leave for the peer, and what a session's messages cost.
class peer_way {
public:
  virtual ~peer_way() = default;
  /// A request or an answer. One that cannot leave comes back by peer_calls::undelivered.
  virtual void send_peer(frame f) = 0;
  /// The same request again: one answer less is to come.
  virtual void repeated(const session_id&) {}
  /// What the way has carried for the session since its last answer.
  virtual traffic answered(const session_id&, bool /*last*/) { return {}; }
};

class peer_calls {
public:
  /// @param self the actor that carries this @param peer the other node, for people
  peer_calls(caf::local_actor* self, peer_way& way, std::string peer, offered_roles offered)
    : self_(self), way_(way), peer_(std::move(peer)), offered_(std::move(offered)) {}

  // -- this node's --
  /// generate, open_session, verify: remembered until answered. ec::queue_full beyond link_defaults::outstanding_calls.
  template <class T>
  void ask(call<T>& c) {
    if (full(c.hdr, c.reply))
      return;
    remember(c.hdr, c.reply);
    way_.send_peer({c.hdr, 0, {}, std::move(c.body)});
  }
  /// close_session, cancel: not answered.
  template <class T>
  void tell(call<T>& c) {
    way_.send_peer({c.hdr, 0, {}, std::move(c.body)});
  }
  /// A local role answers the peer.
  void answer_peer(answer& a);

  // -- the peer's --
  void deliver(frame& message);
  /// A sound message with contents that are not taken: its asker hears it, here or there.
  void refused(const header& hdr, failure why);
  void undelivered(frame& message, failure why, bool peer_hears);

  // -- ends --
  /// Fails the calls outstanding at the peer. @param due only those with a deadline before this
  void fail(ec code, const std::string& text, time_point due = time_point::max());
  /// The peer is lost: its sessions are kept for link_defaults::session_keep.
  void lose(time_point now);
  /// Closes what was kept long enough: the peer has given up on it, or it would have opened it again.
  void close_orphans(time_point now);
  /// When close_orphans is due; time_point::max() when nothing waits for it.
  time_point orphans_due() const;

  link_counts counts;  ///< only what is counted here

private:
  using call_key = std::tuple<session_id, role, std::uint32_t, std::uint32_t>;  // session, target, epoch, unit
  struct waiting {
    header hdr;
    sink reply;
  };

  static call_key key_of(const header& hdr) { return {hdr.session, hdr.target, hdr.epoch, hdr.unit}; }
  bool full(const header& hdr, const sink& reply);
  void remember(const header& hdr, const sink& reply);
  template <class T, class Role>
  void request(const header& hdr, T& body, role kind, const Role& to);
  void answered(const header& hdr, answer_body body);
  void fail_peer(const header& hdr, ec code, std::string text);
  template <class To, class T>
  void post(const To& to, T message) const;
  sink me() const;

  caf::local_actor* self_;
  peer_way& way_;
  std::string peer_;
  offered_roles offered_;
  std::map<call_key, waiting> calls_;  // outstanding at the peer
  peer_sessions sessions_;
  time_point lost_since_{};
};

} // namespace virga
