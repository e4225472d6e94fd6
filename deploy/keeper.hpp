// deploy/keeper.hpp: the process that `virga up` leaves behind on a machine. It starts the nodes, restarts what dies within
// the manifest's bounds, and ends them in order on SIGTERM. When it is killed itself, its nodes drain and end (the kernel
// sends them SIGTERM), and `virga down` removes what is left.
#pragma once

#include "deploy/manifest.hpp"
#include "deploy/run_dir.hpp"

#include <map>

#include <sys/types.h>

namespace virga::deploy {

/// What the keeper knows of a node; in keeper.json for `up` and `status`.
struct kept_node {
  std::string name;
  std::string state;   ///< "running", "waiting" (to be restarted), "failed" (given up), "ended"
  pid_t pid = 0;       ///< 0: not running
  std::uint64_t restarts = 0;
  std::string reason;  ///< of the last end, one line; empty when it never ended
};

/// Starts the nodes of `machine` and keeps them until SIGTERM or SIGINT; then removes the run directory.
void run_keeper(const manifest& m, const std::string& machine, const run_dir& dir);

/// What the keeper wrote last, by node name. Empty when there is no keeper.json.
std::map<std::string, kept_node> read_keeper_state(const run_dir& dir);

} // namespace virga::deploy
