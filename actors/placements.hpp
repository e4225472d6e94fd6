// actors/placements.hpp: which replica of a role a session is with. A plain class.
//
// A session stays where it is as long as that replica runs: its sequences are there. A new one, and one whose replica is gone,
// goes to the replica with the fewest sessions.
#pragma once

#include "messages/types.hpp"

#include <map>
#include <optional>
#include <vector>

namespace virga {

class placements {
public:
  /// @param ways replicas there may be, at least 1
  explicit placements(std::size_t ways) : ways_(ways) {}

  /// The replica runs (again): whatever it held is gone.
  void rise(std::size_t way);

  /// The replica is gone, its sessions will be placed anew.
  void fall(std::size_t way);

  /// The replica ends: it goes on with what it has, and new sessions go to others while there are any.
  void leave(std::size_t way) { ways_.at(way).leaves = true; }

  /// Where the call's session is, or is from now on, until its deadline at the latest; nothing while no replica runs.
  std::optional<std::size_t> place(const header& hdr);

  /// Where it is; nothing when it is nowhere.
  std::optional<std::size_t> find(const session_id& id) const;

  /// The session needs its replica no longer; not so when a call with a higher epoch has come since. Unknown ones are ignored.
  void release(const header& hdr);

  /// Releases the sessions whose deadline has passed.
  void expire(time_point now);

  bool empty() const { return sessions_.empty(); }
  std::size_t count(std::size_t way) const { return ways_.at(way).sessions; }

private:
  struct replica {
    bool runs = false;
    bool leaves = false;
    std::size_t sessions = 0;
  };
  struct placed {
    std::size_t way = 0;
    std::uint32_t epoch = 0;  ///< the highest
    time_point deadline{};
  };
  template <class Which>
  void forget(Which which);

  std::vector<replica> ways_;
  std::map<session_id, placed> sessions_;
};

} // namespace virga
