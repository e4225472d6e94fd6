// actors/node/supervisor.hpp: watches the actors of a node, restarts those that crash, ends all in order. Part of the NODE
// actor: not an actor itself, so that restarting and ending are no messages.
#pragma once

#include "actors/node/restart_window.hpp"

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/local_actor.hpp>
#include <caf/system_messages.hpp>

#include <deque>
#include <functional>
#include <optional>
#include <random>
#include <string>

namespace virga {

/// Actors end in this order: nothing ends before what still needs it.
enum class end_order : std::uint8_t { gateways, links, sessions, roles, engines, stubs, nothing };

/// One actor under supervision, over all its incarnations.
struct child {
  std::string name;  ///< "generator cloud", "engine edge-s"
  end_order order = end_order::roles;
  /// Spawns an incarnation and tells those who need to know. May throw: the node cannot go on without it.
  std::function<caf::actor(std::uint64_t incarnation)> spawn;
  /// The incarnation is dead; the text says why.
  std::function<void(std::uint64_t incarnation, const std::string& why)> lost;
  bool loads = false;  ///< runs only when it says so (engines read their weights first)

  restart_window crashes{{}};
  caf::actor actor;
  std::uint64_t incarnation = 0;
  std::uint32_t restarts = 0;
  std::optional<std::uint64_t> mailbox_us;  ///< that its node's last question waited
  bool running = false;
};

class supervisor {
public:
  /// @param self the node @param seed of the incarnations
  supervisor(caf::local_actor* self, std::string node_name, supervision bounds, std::uint64_t seed);
  ~supervisor();

  /// Starts and watches an actor. @throws what its spawn throws
  child& add(child c);

  /// Watches an actor that is never restarted: without it the node cannot go on.
  void keep(std::string name, caf::actor stub);

  /// An actor that `loads` has said that it runs.
  static void loaded(child& c) { c.running = true; }

  /// Deals with the end of one of the actors: restarts it, or goes on with ending.
  /// @returns the sentence with which the node has to end, if it has to
  std::optional<std::string> down(const caf::down_msg& down);

  /// Begins to end everything in order; ended() once the last is down.
  void end_all();
  /// What has not ended in time is left behind.
  void hurry(time_point now);
  bool ending() const { return stage_ != std::nullopt; }
  bool ended() const { return stage_ == end_order::nothing; }

  const std::deque<child>& children() const { return children_; }
  std::uint64_t random() { return random_() | 1; }  ///< never 0: that says "not running"

private:
  void launch(child& c);
  std::optional<std::string> restart(child& c, const caf::error& reason);
  void enter(end_order stage);
  void end_stage();

  caf::local_actor* self_;
  std::string node_;
  supervision bounds_;
  std::mt19937_64 random_;
  std::deque<child> children_;  // stable addresses
  std::optional<end_order> stage_;
  time_point stage_begun_{};
};

/// Why an actor ended, for people.
std::string reason_text(const caf::error& reason);

} // namespace virga
