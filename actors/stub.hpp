// actors/stub.hpp: the local stand-in of a role. Lives as long as its node, whatever becomes of the role.
//
// With replicas behind it, it chooses one for each session (placements.hpp).
//
// Promises to its asker: every call (but cancel and close_session) gets its answers or one failure, at the latest one
// tick after its deadline. Promises to its target: at most `max_pending` calls at once.
#pragma once

#include "actors/answers.hpp"
#include "actors/interfaces.hpp"
#include "actors/pending_table.hpp"
#include "actors/placements.hpp"
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
  std::size_t ways = 1;  ///< replicas of the role at most
};

template <class Role>
struct stub_state {
  using pointer = typename stub_of<Role>::pointer;

  /// A replica of the role, wherever it is.
  struct way {
    Role target{};
    std::uint64_t incarnation = 0;
    std::string reason = "it has not started yet";
  };

  explicit stub_state(pointer self_ptr) : self(self_ptr), pending(0), placed(1) {}

  void start(stub_options o) {
    options = std::move(o);
    pending = pending_table{options.max_pending};
    placed = placements{options.ways};
    ways.resize(options.ways);
  }

  /// A call: remembered and passed on, or refused.
  template <class T>
  void ask(call<T>& c) {
    const auto at = way_of(c.hdr);
    if (!at)
      return fail_to(c.reply, c.hdr, ec::peer_unreachable, options.name + " is not reachable: " + ways[0].reason);
    stamp(c.hdr, ways[*at]);
    if (!pending.add(c.hdr, c.reply, *at))
      return fail_to(c.reply, c.hdr, ec::queue_full, options.name + ": too many calls are waiting", 100);
    ensure_tick();
    self->send(ways[*at].target, call<T>{c.hdr, std::move(c.body), sink{self}, std::move(c.from)});
  }

  /// A word that is not answered: passed on while there is someone to hear it.
  template <class T>
  void tell(call<T>& c) {
    const auto hdr = c.hdr;
    if (const auto at = replicated() ? placed.find(hdr.session) : way_of(hdr)) {
      stamp(c.hdr, ways[*at]);
      self->send(ways[*at].target, std::move(c));
    }
    if (std::is_same_v<T, close_session>)
      placed.release(hdr);
  }

  void pass(answer& a) {
    if (options.kind == role::session_host && a.last && replicated())
      release(a);
    if (auto to = pending.take(a.hdr, a.last))
      self->send(*to, std::move(a));
    else
      ++dropped;
  }

  void retarget(std::size_t at, const Role& to, std::uint64_t incarnation) {
    auto& w = ways.at(at);
    if (w.target && incarnation != w.incarnation)
      fail_all(at, "it was restarted");
    w.target = to;
    w.incarnation = incarnation;
    placed.rise(at);
  }

  void lose(std::size_t at, const std::string& why) {
    ways.at(at).target = Role{};
    ways[at].reason = why;
    if (options.planted != planted_bug::kept_placement)
      placed.fall(at);
    if (options.planted != planted_bug::lost_pending)
      fail_all(at, why);
  }

  void expire() {
    ticking = false;
    for (auto& e : pending.expire(self->clock().now()))
      fail_to(e.reply, e.hdr, ec::deadline_exceeded, options.name + " did not answer before the deadline");
    placed.expire(self->clock().now());
    if (!pending.empty() || !placed.empty())
      ensure_tick();
  }

  pointer self;
  stub_options options;
  pending_table pending;
  placements placed;
  std::vector<way> ways;
  std::uint64_t dropped = 0;  ///< answers nobody waited for

private:
  /// A session is over, or refused by a replica that takes no new ones: it is free for another.
  void release(const answer& a) {
    auto* why = std::get_if<failure>(&a.body);
    if (auto at = placed.find(a.hdr.session); at && why && why->code == ec::shutting_down)
      placed.leave(*at);
    placed.release(a.hdr);
  }

  bool replicated() const { return ways.size() > 1; }

  /// Which replica; a single one is no choice, and nothing about its sessions is kept.
  std::optional<std::size_t> way_of(const header& hdr) {
    if (replicated())
      return placed.place(hdr);
    return ways[0].target ? std::optional<std::size_t>{0} : std::nullopt;
  }

  void stamp(header& hdr, const way& to) {
    if (options.kind == role::node)
      return;
    hdr.target = options.kind;
    hdr.incarnation = to.incarnation;
  }

  void fail_all(std::size_t at, const std::string& why) {
    for (auto& e : pending.drain(at))
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
          [&st](target_atom, std::uint32_t at, const Role& to, std::uint64_t incarnation) {
            st.retarget(at, to, incarnation);
          },
          [&st](lost_atom, std::uint32_t at, const std::string& why) { st.lose(at, why); },
          [&st](tick_atom) { st.expire(); }};
}

} // namespace detail

/// Spawn as sys.spawn(make_stub<verifier>, options).
template <class Role>
typename stub_of<Role>::behavior_type make_stub(typename stub_of<Role>::template stateful_pointer<stub_state<Role>> self,
                                                stub_options options) {
  auto& st = self->state;
  st.start(std::move(options));
  auto* asked = static_cast<typename calls_of<Role>::asked*>(nullptr);
  auto* told = static_cast<typename calls_of<Role>::told*>(nullptr);
  if constexpr (std::is_same_v<Role, engine>)
    return detail::stub_behavior<Role>(st, asked, told, [&st](forget_atom a, std::uint64_t owner) {
      for (auto& w : st.ways)
        if (w.target)
          st.self->send(w.target, a, owner);
    });
  else
    return detail::stub_behavior<Role>(st, asked, told);
}

} // namespace virga
