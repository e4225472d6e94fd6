// deploy/run_dir.hpp: where a running deployment keeps what it needs on this machine. All of it is gone after `virga down`,
// except the logs.
//   ${XDG_RUNTIME_DIR:-/tmp}/virga-<uid>/<deployment>/
//     keeper.lock     held (flock) by the keeper as long as it lives; its text: pid, start time, manifest
//     manifest.yaml   the manifest as it was at `up`
//     keeper.json     what the keeper knows of each node
//     certs/          with `certs: auto`
//     nodes/<node>/   admin.port, api.port, and parts/<engine>/ cut out of a whole model
//   ${XDG_STATE_HOME:-~/.local/state}/virga/<deployment>/<node>.log, keeper.log
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace virga::deploy {

struct run_dir {
  std::filesystem::path root;

  std::string deployment() const { return root.filename().string(); }
  std::filesystem::path lock_file() const { return root / "keeper.lock"; }
  std::filesystem::path manifest_copy() const { return root / "manifest.yaml"; }
  std::filesystem::path keeper_state() const { return root / "keeper.json"; }
  std::filesystem::path certs() const { return root / "certs"; }
  std::filesystem::path node(const std::string& name) const { return root / "nodes" / name; }
  std::filesystem::path part(const std::string& node_name, const std::string& engine) const {
    return node(node_name) / "parts" / engine;
  }
};

/// Names the folder; makes nothing.
/// @throws failed when the folder of this user's deployments is there and not ours alone (somebody else made it first)
run_dir run_dir_of(const std::string& deployment);

/// Makes the folder, and the user's, with mode 0700; what is there stays. @throws failed
void make_run_dir(const run_dir& dir);

/// Removes the folder with all in it, and the user's when it is the last.
void remove_run_dir(const run_dir& dir);

/// Deployments that have a run directory, running or not.
std::vector<std::string> known_deployments();

/// Made when missing.
std::filesystem::path log_dir(const std::string& deployment);

/// Writes a file so that a reader sees the old text or the new one, never half of it. @throws failed
void write_whole(const std::filesystem::path& file, const std::string& text);

/// The file's text, empty when it is not there. At most 1 MiB.
std::string read_whole(const std::filesystem::path& file);

/// The last `lines` lines of a log that are not blank, at most 8 KiB.
std::string last_lines(const std::filesystem::path& file, std::size_t lines);

} // namespace virga::deploy
