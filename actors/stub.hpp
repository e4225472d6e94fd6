// actors/stub.hpp: the local stand-in of a role. Lives as long as its node, whatever becomes of the role.
//
// Promises to its asker: every call (but cancel and close_session) gets its answers or one failure, at the latest one
// tick after its deadline. Promises to its target: at most `max_pending` calls at once.
#pragma once

#include "actors/answers.hpp"
#include "actors/interfaces.hpp"
#include "actors/pending_table.hpp"
#include "actors/planted.hpp"

#include <caf/delegated.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <tuple>

namespace virga {

struct stub_options {
  role kind = role::node;  ///< stamped into hdr.target; `node` for engines, which no link can address
  std::string name;        ///< for people: "verifier at cloud", "engine edge-s"
  std::size_t max_pending = 1024;  ///< more: ec::queue_full
  caf::timespan tick = std::chrono::milliseconds(50);  ///< how late a deadline may be noticed
  planted_bug planted = planted_bug::none;
};

template <class Role>
struct stub_state {
  using pointer = typename stub_of<Role>::pointer;

  explicit stub_state(pointer self_ptr) : self(self_ptr), pending(0) {}

  /// A call: remembered and passed on, or refused.
  template <class T>
  void ask(call<T>& c) {
    stamp(c.hdr);
    if (!target)
      return fail_to(c.reply, c.hdr, ec::peer_unreachable, options.name + " is not reachable: " + reason);
    if (!pending.add(c.hdr, c.reply))
      return fail_to(c.reply, c.hdr, ec::queue_full, options.name + ": too many calls are waiting", 100);
    ensure_tick();
    self->send(target, call<T>{c.hdr, std::move(c.body), sink{self}});
  }

  /// A word that is not answered: passed on while there is someone to hear it.
  template <class T>
  void tell(call<T>& c) {
    stamp(c.hdr);
    if (target)
      self->send(target, std::move(c));
  }

  void pass(answer& a) {
    if (auto to = pending.take(a.hdr, a.last))
      self->send(*to, std::move(a));
    else
      ++dropped;
  }

  void retarget(const Role& to, std::uint64_t new_incarnation) {
    if (target && new_incarnation != incarnation)
      fail_all("it was restarted");
    target = to;
    incarnation = new_incarnation;
  }

  void lose(const std::string& why) {
    target = Role{};
    reason = why;
    if (options.planted != planted_bug::lost_pending)
      fail_all(why);
  }

  void expire() {
    ticking = false;
    for (auto& e : pending.expire(self->clock().now()))
      fail_to(e.reply, e.hdr, ec::deadline_exceeded, options.name + " did not answer before the deadline");
    if (!pending.empty())
      ensure_tick();
  }

  pointer self;
  stub_options options;
  pending_table pending;
  Role target;
  std::uint64_t incarnation = 0;
  std::string reason = "it has not started yet";
  std::uint64_t dropped = 0;  ///< answers nobody waited for

private:
  void stamp(header& hdr) {
    if (options.kind == role::node)
      return;
    hdr.target = options.kind;
    hdr.incarnation = incarnation;
  }

  void fail_all(const std::string& why) {
    for (auto& e : pending.drain())
      fail_to(e.reply, e.hdr, ec::peer_unreachable, options.name + " was lost: " + why);
  }

  void ensure_tick() {
    if (!ticking) {
      ticking = true;
      self->delayed_send(self, options.tick, tick_atom::value);
    }
  }

  bool ticking = false;
};

/// The calls that a role is asked (answered) and told (not answered).
template <class Role>
struct calls_of;
template <>
struct calls_of<session_host> {
  using asked = std::tuple<generate>;
  using told = std::tuple<cancel>;
};
template <>
struct calls_of<token_source> {
  using asked = std::tuple<complete>;
  using told = std::tuple<cancel>;
};
template <>
struct calls_of<verifier> {
  using asked = std::tuple<open_session, verify>;
  using told = std::tuple<close_session>;
};
template <>
struct calls_of<engine> {
  using asked = std::tuple<engine_step, engine_run>;
  using told = std::tuple<cancel, close_session>;
};

namespace detail {

template <class Role, class... Asked, class... Told, class... More>
typename stub_of<Role>::behavior_type stub_behavior(stub_state<Role>& st, std::tuple<Asked...>*, std::tuple<Told...>*,
                                                    More... more) {
  return {[&st](call<Asked>& c) { st.ask(c); }...,
          [&st](call<Told>& c) { st.tell(c); }...,
          std::move(more)...,
          [&st](answer& a) { st.pass(a); },
          [&st](target_atom, const Role& to, std::uint64_t incarnation) { st.retarget(to, incarnation); },
          [&st](lost_atom, const std::string& why) { st.lose(why); },
          [&st](tick_atom) { st.expire(); }};
}

} // namespace detail

/// Spawn as sys.spawn(make_stub<verifier>, options).
template <class Role>
typename stub_of<Role>::behavior_type make_stub(typename stub_of<Role>::template stateful_pointer<stub_state<Role>> self,
                                                stub_options options) {
  auto& st = self->state;
  st.pending = pending_table{options.max_pending};
  st.options = std::move(options);
  auto* asked = static_cast<typename calls_of<Role>::asked*>(nullptr);
  auto* told = static_cast<typename calls_of<Role>::told*>(nullptr);
  if constexpr (std::is_same_v<Role, engine>)
    return detail::stub_behavior<Role>(st, asked, told, [&st](forget_atom a, std::uint64_t owner) {
      if (st.target)
        st.self->send(st.target, a, owner);
    });
  else
    return detail::stub_behavior<Role>(st, asked, told);
}

} // namespace virga
