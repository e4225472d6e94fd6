// deploy/processes.hpp: finding, starting and ending the processes of a deployment. They are found by their command line
// (`virga keeper|node ... --run-dir DIR`), so also after a keeper was killed and left no trace.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

namespace virga::deploy {

/// A process that cannot be mistaken for a later one with the same number.
struct process {
  pid_t pid = 0;
  std::uint64_t started = 0;  ///< clock ticks after boot
  std::string command;        ///< "keeper" or "node"
  std::string name;           ///< of a node
};

/// This user's processes whose command line has `--run-dir DIR`.
std::vector<process> processes_of(const std::filesystem::path& run_dir);

bool is_alive(const process& p);

/// Does nothing when the process is gone.
void send_signal(const process& p, int signal);

/// Waits until all are gone. @returns false at the end of `limit`
bool wait_until_gone(const std::vector<process>& all, std::chrono::milliseconds limit);

struct child_options {
  std::vector<std::string> arguments;              ///< of this same program; [0] is shown in ps
  std::map<std::string, std::string> environment;  ///< set besides what we have
  std::filesystem::path log;                       ///< gets stdout and stderr; rotated to .1 above 8 MiB
  bool dies_with_parent = false;                   ///< SIGTERM when we end, however we end
  int keep_fd = -1;                                ///< stays open in the child
};

/// What tells OpenMP and MKL to use `count` threads, and to spin for microseconds only where one waits for the others:
/// libgomp's own bound is milliseconds, which a core's other programs would miss.
std::map<std::string, std::string> thread_environment(std::uint64_t count);

/// Makes OpenMP and MKL use `count` threads unless the environment says otherwise. They read it when they are loaded, so
/// this runs the program again with the same arguments: call it early.
void use_threads(std::uint64_t count);

/// Runs this same program again. @throws failed
pid_t start_child(const child_options& options);

/// Like start_child, but in a session of its own and nobody's child. Returns when it runs. @throws failed
void start_detached(const child_options& options);

} // namespace virga::deploy
