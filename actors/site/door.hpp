// actors/site/door.hpp: the DOOR actor: published at a node's site port; other nodes of the site knock here. It says to the NEIGHBOUR
// of the node that knocks who has come; everything after that passes between the two NEIGHBOURs.
#pragma once

#include "actors/site/neighbour.hpp"

#include <map>
#include <string>

namespace virga {

using door_actor = knocker::extend_with<caf::typed_actor<
  // From its own node: this is the NEIGHBOUR for the node of that name (again). Others are not let in.
  caf::reacts_to<join_atom, std::string, neighbour_actor>>>;

struct door_state {
  explicit door_state(door_actor::pointer self_ptr) : self(self_ptr) {}

  void knock(const site_bytes& greeting);

  door_actor::pointer self;
  std::string node_name;
  std::map<std::string, neighbour_actor> neighbours;
};

door_actor::behavior_type make_door(door_actor::stateful_pointer<door_state> self, std::string node_name);

} // namespace virga
