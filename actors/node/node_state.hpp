// actors/node/node_state.hpp: what the NODE actor knows. Its methods stand in spawn_roles.cpp (who is there),
// spawn_site.cpp (who is on other nodes of the site), node_report.cpp (what is told) and node.cpp (what happens).
#pragma once

#include "actors/engine/engine.hpp"
#include "actors/link/link.hpp"
#include "actors/node/node.hpp"
#include "actors/node/peer_table.hpp"
#include "actors/node/supervisor.hpp"
#include "actors/session/session_host.hpp"
#include "actors/site/door.hpp"

#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace virga {

struct node_state {
  explicit node_state(node_actor::pointer self_ptr) : self(self_ptr) {}

  void start(node_config c, node_parts p);

  void on_peer(peer_state& now);
  void on_down(const caf::down_msg& down);
  void drain();
  void end();
  void tick();
  caf::result<node_status> report();

  /// The actor that runs under this name now ("generator cloud"); the chaos of tests and simulation asks for it.
  caf::actor find(std::string_view name) const;

  node_actor::pointer self;
  node_config config;
  node_parts parts;
  node_stubs stubs;

private:
  struct engine_entry {
    std::string name;
    stub_of<engine> stub;
    engine_actor actor;
    child* run = nullptr;
    engine_stats last;  ///< as far as known
  };
  /// A role on other nodes of the site, and the ways to them. The stub that knows them is told of each change.
  struct far_part {
    role kind = role::verifier;
    std::vector<std::string> nodes;
    std::vector<std::uint64_t> incarnations;  ///< that run there now, 0: none
    std::function<void(std::uint32_t, const neighbour_actor&, std::uint64_t)> found;
    std::function<void(std::uint32_t, const std::string&)> lost;
  };
  struct role_entry {
    role_config config;
    child* run = nullptr;            ///< nullptr: nothing of it runs here
    engine_entry* engine = nullptr;  ///< nullptr: its engines are elsewhere
    std::vector<far_part*> parts;    ///< where
    std::uint64_t incarnation = 0;   ///< that peers know, where nothing of it runs here
    verifier verify;                 ///< the stub of a verifier
  };

  // spawn_roles.cpp
  void spawn_all();
  void spawn_engine(const engine_config& c);
  void probe(engine_entry& e);
  void spawn_role(const role_config& c);
  child* spawn_source(const role_config& c, engine_entry& e, const std::string& name);
  token_source spawn_alone(const role_config& c, engine_entry& e);
  void spawn_verifier(role_entry& r, const std::string& name);
  void spawn_sessions();
  void add_link(std::size_t index);
  void spawn_gateway(const gateway_config& c);
  template <class Role>
  stub_of<Role> spawn_stub(role kind, const std::string& name, std::size_t ways = 1);
  template <class Role, class Make>
  child& supervise(std::string name, end_order order, stub_of<Role> stub, engine_entry* owner_at, Make make);
  hello own_hello(const link_config& l) const;
  hello own_hello() const;
  offered_roles offered() const;
  relayed_strategies relayed() const;

  // spawn_site.cpp
  void spawn_far_role(const role_config& c);
  template <class Role>
  Role spawn_far_part(role kind, const std::string& name, const role_part& c, role_entry& of);
  void spawn_pipeline(role_entry& r, const std::string& name);
  void open_door();
  void take_down(const caf::actor_addr& before);
  void publish_door();
  void add_neighbour(std::size_t index);
  void retarget_neighbours();

  // node_report.cpp
  std::vector<role_status> offers() const;
  std::vector<strategy> served() const;
  std::string not_ready() const;
  node_status snapshot() const;
  bool usable(const role_entry& r) const;
  std::uint64_t incarnation_of(const role_entry& r) const;
  bool answers_sessions() const;
  void ask_engines(std::function<void()> done);
  void ask_links(std::function<void()> done);
  void ask_sessions(std::function<void()> done);
  template <class Numbers, class Actor>
  void look(const Actor& at, child& c, std::function<void(const Numbers&)> take, std::function<void()> done);

  // node.cpp
  void retarget_remotes();
  void publish();
  void give_up(std::string sentence);
  void check_drain();
  void go_on();

  std::optional<supervisor> kids_;
  std::optional<peer_table> peers_;
  std::deque<engine_entry> engines_;  // stable addresses
  std::deque<role_entry> roles_;
  std::vector<strategy_source> sources_;
  session_host_actor sessions_;
  child* sessions_run_ = nullptr;
  stub_of<session_host> remote_sessions_;
  stub_of<verifier> remote_verifier_;
  std::vector<link_actor> links_;
  std::vector<child*> link_runs_;
  std::deque<far_part> far_parts_;  // stable addresses
  session_host far_sessions_;       // the stub of a generator that runs elsewhere
  door_actor door_;
  std::vector<neighbour_actor> neighbours_;
  std::optional<peer_table> neighbour_table_;
  std::optional<peer_table::offer> remote_sessions_at_, remote_verifier_at_;
  std::vector<role_status> published_;
  std::string sentence_;  // with which the node gave up
  bool draining_ = false, ticking_ = false;
  time_point drain_until_{};
};

} // namespace virga
