// tests/sim/deployment.hpp: the demo deployment, one cloud and two edges, in one actor system and virtual time. With every third seed
// the cloud is a front with two workers, which are replicas of all its roles and come together as nodes of a site do. Everything
// is real but the byte pipe below the link protocol and the cost of a step: frames are really encoded, sliced, credited
// and decoded, and the reference shard computes.
#pragma once

#include "actors/node/node.hpp"
#include "tests/sim/sim_strategy.hpp"
#include "tests/support/sim_middleman.hpp"
#include "tests/support/sim_pipe.hpp"
#include "tests/support/sim_system.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <random>

namespace virga::testing {

struct client_request {
  std::string entry;
  strategy how = strategy::cloud;
  std::vector<token_id> prompt;
  std::uint32_t max_tokens = 8;
  caf::timespan deadline = std::chrono::seconds(10);
};

class deployment : public sim {
public:
  static inline const std::vector<std::string> edges{"edge-1", "edge-2"};
  static inline const std::vector<std::string> workers{"worker-1", "worker-2"};

  deployment(const sim_models& models, std::uint64_t seed, planted_bug planted = planted_bug::none);
  ~deployment();

  /// Runs ready actors in an order that the seed chooses, and timers one at a time, until `until`.
  void run_until(time_point until);

  /// All links are up and every engine is loaded: every strategy is served at every edge. @returns false when that takes longer than `limit`
  bool await_ready(caf::timespan limit = std::chrono::seconds(10));

  /// Asks as a client of this entry node would; what it sees is written into the history.
  std::uint64_t ask(const client_request& r);
  void cancel_request(std::uint64_t number);

  // Faults. Each writes itself and whom it struck into the history.
  void crash_node(const std::string& name);
  void start_node(const std::string& name);
  void crash_role(const std::string& node, const std::string& role);
  void cut_link(const std::string& edge);
  void stall_link(const std::string& edge, caf::timespan how_long);
  void slow_link(const std::string& edge, std::uint64_t bytes_per_s);
  void repeat_messages(const std::string& edge);
  void reorder_messages(const std::string& edge);
  void partition_link(const std::string& edge, sim_pipe::side silent);

  /// Links are what they were, and nodes that were killed come back, as their keeper would see to it.
  void heal();
  void restart_dead();

  /// Sequences in engines, and sessions, that are left of requests. Empty, or a sentence.
  std::string leftovers();

  sim_pipe& pipe(const std::string& edge) { return *pipes_.at(edge); }

  /// Whether the cloud has workers.
  bool has_workers() const { return has_workers_; }
  bool alive(const std::string& node) const { return nodes_.count(node) != 0; }
  node_status status(const std::string& node);

  history seen;
  std::mt19937_64 random;

private:
  struct client {
    sink listener;
    header hdr;
    stub_of<session_host> to;
  };
  static std::uint16_t worker_port(const std::string& name) {
    return std::ranges::count(workers, name) == 0 ? 0 : static_cast<std::uint16_t>(7000 + name.back());
  }
  node_config config_of(const std::string& name) const;
  void make_front(node_config& c) const;
  std::vector<std::string> names() const;
  caf::actor find_role(const std::string& node, const std::string& role) const;
  void note(std::string kind, const std::string& entry, const std::function<bool(const sim_strategy&)>& strikes);
  void step_actors();

  const sim_models& models_;
  planted_bug planted_;
  bool has_workers_;
  std::shared_ptr<sim_ports> ports_ = std::make_shared<sim_ports>();
  caf::io::middleman_actor middleman_;
  std::map<std::string, std::shared_ptr<sim_pipe>> pipes_;  // by edge
  std::map<std::string, pipe_shape> shapes_;                // that they had at first
  std::map<std::string, node_actor> nodes_;
  std::map<std::uint64_t, client> clients_;
};

} // namespace virga::testing
