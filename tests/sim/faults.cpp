// The faults of deployment.hpp.
#include "actors/node/node_state.hpp"
#include "tests/sim/deployment.hpp"

#include <caf/actor_cast.hpp>

#include <algorithm>

namespace virga::testing {

namespace {

constexpr auto cloud_name = "cloud";

std::string crash_kind(const std::string& role, bool cloud) {
  if (role == "session host")
    return cloud ? "crash session host of the cloud" : "crash session host of an edge";
  return "crash " + (role.starts_with("link ") ? "link" : role);
}

bool over_the_link(const sim_strategy& s) { return s.crosses_link; }

} // namespace

/// Writes down whom a fault strikes: the requests in flight of these strategies that entered at `entry` (any, if empty).
void deployment::note(std::string kind, const std::string& entry, const std::function<bool(const sim_strategy&)>& strikes) {
  fault_record f{std::move(kind), now(), {}};
  for (auto& [number, r] : seen.requests)
    if ((entry.empty() || r.entry == entry) && r.current() != phase::ended && strikes(find_strategy(r.how))) {
      f.struck.emplace_back(number, r.current());
      r.struck = true;
    }
  seen.faults.push_back(std::move(f));
}

void deployment::crash_node(const std::string& name) {
  auto it = nodes_.find(name);
  if (it == nodes_.end())
    return;
  const bool edge = std::ranges::count(edges, name) > 0;
  note(edge ? "kill edge" : name == cloud_name ? "kill cloud" : "kill worker", edge ? name : "",
       [edge](auto& s) { return edge || s.crosses_link; });
  ports_->doors.erase(worker_port(name));  // of others there is none
  caf::anon_send_exit(it->second, caf::exit_reason::kill);
  nodes_.erase(it);
  for (auto& [number, r] : seen.requests)
    if (r.entry == name && r.current() != phase::ended)
      r.entry_died = true;
}

caf::actor deployment::find_role(const std::string& node, const std::string& role) const {
  auto it = nodes_.find(node);
  if (it == nodes_.end())
    return {};
  using instance = caf::stateful_actor<node_state, node_actor::base>;
  auto* actor = dynamic_cast<instance*>(caf::actor_cast<caf::abstract_actor*>(it->second));
  return actor == nullptr ? caf::actor{} : actor->state.find(role);
}

/// What a front has not itself, one of its workers has.
void deployment::crash_role(const std::string& node, const std::string& role) {
  auto victim = find_role(node, role);
  if (!victim && has_workers_ && node == cloud_name)
    victim = find_role(workers[random() % workers.size()], role);
  if (victim) {
    const bool cloud = node == cloud_name;
    note(crash_kind(role, cloud), cloud ? "" : node, [&](auto& s) {
      if (role == "session host")
        return !cloud || s.how == strategy::cloud;
      return role.starts_with("link ") ? s.crosses_link : std::ranges::count(parts_of(s, models_, cloud), role) > 0;
    });
    caf::anon_send_exit(victim, caf::exit_reason::kill);
  }
}

void deployment::cut_link(const std::string& edge) {
  note("cut link", edge, over_the_link);
  pipes_.at(edge)->cut("the connection was reset");
}

void deployment::stall_link(const std::string& edge, caf::timespan how_long) {
  note("stall link", edge, over_the_link);
  pipes_.at(edge)->stall(how_long);
}

void deployment::slow_link(const std::string& edge, std::uint64_t bytes_per_s) {
  note("slow link", edge, over_the_link);
  pipe_shape shape;
  shape.delay = std::chrono::milliseconds(40);
  shape.bytes_per_s = bytes_per_s;
  pipes_.at(edge)->reshape(shape);
}

void deployment::repeat_messages(const std::string& edge) {
  note("repeat messages", edge, over_the_link);
  pipes_.at(edge)->repeat(20);
}

void deployment::reorder_messages(const std::string& edge) {
  note("reorder messages", edge, over_the_link);
  pipes_.at(edge)->reorder(20);
}

void deployment::partition_link(const std::string& edge, sim_pipe::side silent) {
  note(silent == sim_pipe::dialer ? "partition up" : "partition down", edge, over_the_link);
  pipes_.at(edge)->partition(silent, true);
}

void deployment::heal() {
  for (auto& [edge, pipe] : pipes_) {
    pipe->heal();
    pipe->reshape(shapes_.at(edge));
  }
  restart_dead();
}

} // namespace virga::testing
