// deploy/lifecycle.hpp: a deployment on this machine from nothing to running and back to nothing.
#pragma once

#include "deploy/keeper.hpp"
#include "deploy/manifest.hpp"
#include "deploy/run_dir.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace virga::deploy {

/// One node as it is now, from the keeper and from the node's own HTTP.
struct node_view {
  const node_entry* entry = nullptr;
  kept_node kept;                 ///< state empty: the keeper does not know it (yet)
  std::uint16_t admin_port = 0;   ///< 0: not open (yet)
  std::uint16_t api_port = 0;
  bool ready = false;
  std::string reason;             ///< why it is not ready, or what it is without
  std::vector<std::string> strategies;
  std::vector<std::string> away;  ///< nodes of its site that it cannot reach
  std::string status;             ///< JSON of GET /status; empty when it does not answer
};

/// Looks at the nodes that the keeper of this run directory holds; each is given at most `limit` to answer.
std::vector<node_view> look_at(const manifest& m, const run_dir& dir, std::chrono::milliseconds limit);

/// Ready, together with the nodes of its site that do its roles, and serving each strategy that its roles promise together with
/// a cloud node, as far as those are on the same machine.
bool is_complete(const manifest& m, const node_view& n);

enum class up_result { started, was_running };

/// Starts the nodes of `machine` (empty: all, when there is only one machine) and waits until they are complete. On failure
/// everything is taken down again. `say` gets progress for people.
/// @throws failed with the last lines of the logs; bad_manifest, bad_input
up_result bring_up(const manifest& m, const std::string& machine, std::chrono::seconds limit,
                   const std::function<void(const std::string&)>& say);

/// Lets an `up` that has just begun get as far as its keeper (10 s at most), so that `down` ends it whole.
void wait_for_start(const run_dir& dir);

/// Ends all processes of the deployment on this machine and removes its run directory, also after crashes and SIGKILL.
/// @returns false when there was nothing
/// @throws failed when a process cannot be ended
bool take_down(const run_dir& dir);

/// The manifest that a running deployment was started with. @throws bad_input when it does not run
manifest running_manifest(const run_dir& dir);

/// `manifest` as given on a command line, or the only deployment that runs here.
/// @throws bad_input when none or several run
run_dir find_running(const std::string& manifest_file);

} // namespace virga::deploy
