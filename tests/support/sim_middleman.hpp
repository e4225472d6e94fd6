// tests/support/sim_middleman.hpp: CAF's middleman without sockets: ports of one actor system, in which all nodes live.
#pragma once

#include <caf/actor_cast.hpp>
#include <caf/io/middleman_actor.hpp>
#include <caf/node_id.hpp>
#include <caf/sec.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <map>
#include <memory>
#include <set>
#include <string>

namespace virga::testing {

/// Who is published where, and how often somebody tried to connect.
struct sim_ports {
  std::map<std::uint16_t, caf::strong_actor_ptr> doors;
  std::size_t tries = 0;
};

inline caf::io::middleman_actor::behavior_type sim_middleman(std::shared_ptr<sim_ports> ports) {
  using caf::result, std::string, std::set;
  auto no = [] { return caf::make_error(caf::sec::cannot_connect_to_node); };
  return {
    [=](caf::publish_atom, std::uint16_t port, const caf::strong_actor_ptr& whom, set<string>&, string&, bool) -> result<std::uint16_t> {
      if (!ports->doors.emplace(port, whom).second)  // also of an actor that is gone: CAF keeps its port
        return caf::make_error(caf::sec::cannot_open_port);
      return port;
    },
    [=](caf::open_atom, std::uint16_t, string&, bool) -> result<std::uint16_t> { return no(); },
    [=](caf::connect_atom, string&, std::uint16_t port) -> result<caf::node_id, caf::strong_actor_ptr, set<string>> {
      ++ports->tries;
      auto at = ports->doors.find(port);
      if (at == ports->doors.end())
        return no();
      return {caf::node_id{}, at->second, set<string>{}};
    },
    [=](caf::unpublish_atom, caf::actor_addr&, std::uint16_t port) -> result<void> {
      ports->doors.erase(port);
      return caf::unit;
    },
    [=](caf::close_atom, std::uint16_t port) -> result<void> {
      ports->doors.erase(port);
      return caf::unit;
    },
    [=](caf::spawn_atom, caf::node_id&, string&, caf::message&, set<string>&) -> result<caf::strong_actor_ptr> { return no(); },
    [=](caf::get_atom, caf::node_id&) -> result<caf::node_id, string, std::uint16_t> { return no(); }};
}

} // namespace virga::testing
