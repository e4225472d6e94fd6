#include "deploy/keeper.hpp"

#include "deploy/failures.hpp"
#include "deploy/processes.hpp"
#include "deploy/restart_policy.hpp"

#include <boost/json.hpp>

#include <csignal>
#include <cstring>
#include <iostream>

#include <sys/wait.h>
#include <unistd.h>

namespace virga::deploy {
namespace fs = std::filesystem;
namespace {

using clock = restart_policy::clock;

struct supervised {
  const node_entry* entry;
  kept_node now;
  restart_policy policy;
  std::optional<clock::time_point> start_at;
};

std::string how_it_ended(int status, const fs::path& log) {
  std::string how = WIFSIGNALED(status) ? std::string("killed by signal ") + ::strsignal(WTERMSIG(status))
                                        : "ended with exit code " + std::to_string(WEXITSTATUS(status));
  auto last = last_lines(log, 1);
  return last.empty() ? how : how + "; its last line: " + last.substr(0, 500);
}

class keeper {
public:
  keeper(const manifest& m, const std::string& machine, run_dir dir)
    : m_(m), dir_(std::move(dir)), logs_(log_dir(m.deployment)) {
    for (const auto& n : m.nodes)
      if (machine.empty() || n.machine == machine)
        nodes_.push_back({&n, {n.name.value, "waiting", 0, 0, ""}, restart_policy(m.restarts), clock::now()});
    ::sigemptyset(&signals_);
    for (int s : {SIGCHLD, SIGTERM, SIGINT, SIGHUP})
      ::sigaddset(&signals_, s);
    ::sigprocmask(SIG_BLOCK, &signals_, nullptr);
  }

  void run() {
    while (!asked_to_stop_) {
      start_due();
      write_state();
      wait_for_signal(until_next_start());
      reap();
    }
    stop_all();
    remove_run_dir(dir_);
  }

private:
  void start_due() {
    for (auto& n : nodes_)
      if (n.start_at && *n.start_at <= clock::now())
        try {
          start(n);
        } catch (const std::exception& e) {
          gone(n, e.what());
        }
  }

  void start(supervised& n) {
    n.start_at.reset();
    auto home = dir_.node(n.now.name);
    fs::create_directories(home);
    for (const char* port : {"admin.port", "api.port"})
      fs::remove(home / port);
    child_options child;
    child.arguments = {"virga", "node", "--manifest", dir_.manifest_copy(), "--base", m_.base,
                       "--name", n.now.name, "--run-dir", dir_.root};
    child.environment = thread_environment(n.entry->threads);
    child.log = logs_ / (n.now.name + ".log");
    child.dies_with_parent = true;
    n.now.pid = start_child(child);
    n.now.state = "running";
    std::cout << n.now.name << " started, pid " << n.now.pid << std::endl;
  }

  std::chrono::milliseconds until_next_start() const {
    auto next = clock::now() + std::chrono::seconds(60);
    for (const auto& n : nodes_)
      if (n.start_at)
        next = std::min(next, *n.start_at);
    return std::max(std::chrono::milliseconds(1),
                    std::chrono::duration_cast<std::chrono::milliseconds>(next - clock::now()));
  }

  void wait_for_signal(std::chrono::milliseconds limit) {
    ::timespec t{limit.count() / 1000, limit.count() % 1000 * 1'000'000};
    int signal = ::sigtimedwait(&signals_, nullptr, &t);
    if (signal == SIGTERM || signal == SIGINT)
      asked_to_stop_ = true;
  }

  void reap() {
    int status = 0;
    while (auto pid = ::waitpid(-1, &status, WNOHANG)) {
      if (pid < 0)
        return;
      for (auto& n : nodes_)
        if (n.now.pid == pid)
          ended(n, status);
    }
  }

  void ended(supervised& n, int status) {
    n.now.pid = 0;
    bool hopeless = WIFEXITED(status) && WEXITSTATUS(status) == 2;  // bad input stays bad
    gone(n, how_it_ended(status, logs_ / (n.now.name + ".log")), hopeless);
  }

  /// Started again, or not.
  void gone(supervised& n, const std::string& reason, bool hopeless = false) {
    n.now.reason = reason;
    std::cout << n.now.name << " " << reason << std::endl;
    n.start_at = hopeless || asked_to_stop_ ? std::nullopt : n.policy.ended(clock::now());
    n.now.state = n.start_at ? "waiting" : asked_to_stop_ ? "ended" : "failed";
    n.now.restarts += n.start_at.has_value();
    if (n.now.state == "failed")
      std::cout << n.now.name << " is given up" << std::endl;
  }

  void write_state() const {
    boost::json::array all;
    for (const auto& n : nodes_)
      all.push_back({{"name", n.now.name}, {"state", n.now.state}, {"pid", n.now.pid}, {"restarts", n.now.restarts},
                     {"reason", n.now.reason}});
    try {
      write_whole(dir_.keeper_state(), boost::json::serialize(all));
    } catch (const std::exception& e) {
      std::cout << e.what() << std::endl;  // a full disk is no reason to end the nodes
    }
  }

  bool any_running() const {
    return std::any_of(nodes_.begin(), nodes_.end(), [](const supervised& n) { return n.now.pid != 0; });
  }

  void signal_all(int signal) const {
    for (const auto& n : nodes_)
      if (n.now.pid != 0)
        ::kill(n.now.pid, signal);  // our own child, not reaped yet: the number is still its own
  }

  void stop_all() {
    std::cout << "stopping" << std::endl;
    reap();
    signal_all(SIGTERM);
    auto end = clock::now() + std::chrono::seconds(m_.drain_s + 2);
    while (any_running() && clock::now() < end) {
      wait_for_signal(std::chrono::milliseconds(100));
      reap();
    }
    signal_all(SIGKILL);
    for (const auto& n : nodes_)
      if (n.now.pid != 0)
        ::waitpid(n.now.pid, nullptr, 0);
  }

  const manifest& m_;
  run_dir dir_;
  fs::path logs_;
  std::vector<supervised> nodes_;
  ::sigset_t signals_{};
  bool asked_to_stop_ = false;
};

} // namespace

void run_keeper(const manifest& m, const std::string& machine, const run_dir& dir) { keeper(m, machine, dir).run(); }

std::map<std::string, kept_node> read_keeper_state(const run_dir& dir) {
  std::map<std::string, kept_node> all;
  boost::json::error_code error;
  auto value = boost::json::parse(read_whole(dir.keeper_state()), error);
  if (error || !value.is_array())
    return all;
  for (const auto& v : value.as_array()) {
    kept_node n{v.at("name").as_string().c_str(), v.at("state").as_string().c_str(),
                static_cast<pid_t>(v.at("pid").to_number<int>()), v.at("restarts").to_number<std::uint64_t>(),
                v.at("reason").as_string().c_str()};
    all.emplace(n.name, n);
  }
  return all;
}

} // namespace virga::deploy
