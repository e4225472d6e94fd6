// tests/sim/profile/world.hpp: clouds and devices of the paper's profile in one actor system and virtual time. Nodes,
// links, sessions, drafters, verifiers, pipelines and engines are the product's; the byte pipe and the shard below them
// are not: see sim_pipe.hpp, cost_shard.hpp. Each cloud is a front with a node for each pipeline stage; every device
// has a link to one cloud.
#pragma once

#include "actors/node/node.hpp"
#include "tests/sim/profile/cost_shard.hpp"
#include "tests/support/sim_middleman.hpp"
#include "tests/support/sim_pipe.hpp"
#include "tests/support/sim_system.hpp"

#include <map>
#include <optional>
#include <random>

namespace virga::testing {

/// A deployment that was measured, in the place of the paper's: one cloud node that holds the middle, links without a rate.
struct testbed {
  std::vector<stage_cost> device;  ///< embedding, first layers, adapter, head
  stage_cost cloud;
  double rtt_s = 0;                ///< with what the software on the path takes
  double sure_share = 0, sure_least = 0.6;
  std::uint32_t cores = 2;         ///< that all engines share
};

struct world_options {
  paper_profile profile;
  method how = method::hat;
  std::uint32_t devices = 30, clouds = 1;
  std::uint32_t answer_tokens = 128;    ///< the paper's cap; every answer has as many
  double warm_s = 20, measured_s = 60;  ///< requests that come before `warm_s` are answered and not counted
  double requests_per_s = 0;            ///< of all devices; 0: the profile's
  std::uint64_t seed = 1;
  caf::timespan heartbeat = std::chrono::milliseconds(500);
  std::optional<testbed> bed;
  std::uint32_t blocks = 0;           ///< with a testbed: so many times every device asks at once, the next time after the last answer
  std::uint32_t prompt_tokens = 16;   ///< of these

  double rate() const { return requests_per_s > 0 ? requests_per_s : profile.requests_per_s; }
  bool drafts() const { return how >= method::speculative; }
  bool chunks() const { return how == method::chunked || how >= method::chunked_speculative; }
};

/// Layers [first, last) of a stage: the middle ones, cut as evenly as they can be.
std::pair<std::uint32_t, std::uint32_t> layers_of(const decoder_model& m, std::uint32_t part);
/// What they cost on the cloud's hardware.
stage_cost part_cost(const decoder_model& m, std::uint32_t part);

/// One request and what its client saw.
struct asked {
  std::uint32_t device = 0;
  double at_s = 0;
  std::uint32_t prompt_tokens = 0;
  time_point sent{}, first{}, last{};
  std::vector<token_id> got;
  outcome end;
  bool ended = false;
};

class world : public sim {
public:
  explicit world(world_options options);
  ~world();

  /// Brings every node up, asks everything, waits for the last answer. @throws std::runtime_error when that does not
  /// come
  void run_all();

  double uplink(std::uint32_t device) const { return shapes_[device].first; }
  double downlink(std::uint32_t device) const { return shapes_[device].second; }
  static bool is_orin(std::uint32_t device) { return device % 3 == 2; }

  const world_options options;
  std::vector<asked> requests;
  std::vector<std::shared_ptr<step_meter>> stages;  ///< of the clouds: all stages of the first, then of the next
  double window_s = 0;                              ///< that the meters have run

  /// The stage costs of a device: embedding, first layers, adapter, head; without the adapter for `split`.
  std::vector<stage_cost> device_costs(std::uint32_t device) const;

private:
  role_config verifier_role() const;
  node_config cloud_config(std::uint32_t cloud);
  node_config stage_config(std::uint32_t cloud, std::uint32_t part);
  node_config device_config(std::uint32_t device);
  engine_config engine_of(const std::string& name, cost_options costs);
  void start(node_config config);
  void await(const std::function<bool(const std::string& name, const node_status&)>& up);
  void plan_requests();
  std::uint32_t pick_device();
  void ask(std::size_t number, std::uint32_t device);
  void bring_up();
  void ask_in_time();
  void ask_in_blocks();
  void hear(answer& a);

  std::mt19937_64 random_;
  std::vector<std::pair<double, double>> shapes_;  ///< bytes/s up and down, by device
  std::vector<std::uint32_t> busy_;                ///< requests open, by device
  std::uint32_t last_device_ = 0;
  std::shared_ptr<const models::tokenizer> tok_;
  std::shared_ptr<sim_ports> ports_ = std::make_shared<sim_ports>();
  caf::io::middleman_actor middleman_;
  std::map<std::string, std::shared_ptr<sim_pipe>> pipes_;  ///< by device
  std::map<std::string, node_actor> nodes_;
  std::map<std::uint32_t, stub_of<session_host>> doors_;  ///< by device
  sink listener_;
  std::size_t open_ = 0;
  std::shared_ptr<std::vector<time_point>> cores_;          ///< when each is free
};

std::string device_name(std::uint32_t device);
std::string cloud_name(std::uint32_t cloud);
std::string part_name(std::uint32_t cloud, std::uint32_t part);

/// "seed length": so many tokens that follow from the seed.
std::vector<token_id> prompt_of(std::uint64_t seed, std::uint32_t length);

} // namespace virga::testing
