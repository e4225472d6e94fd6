#include "deploy/lifecycle.hpp"

#include "deploy/certificates_of.hpp"
#include "deploy/failures.hpp"
#include "deploy/lock_file.hpp"
#include "deploy/plan.hpp"
#include "deploy/processes.hpp"

#include <algorithm>
#include <csignal>
#include <set>
#include <thread>

namespace virga::deploy {
namespace fs = std::filesystem;
namespace {

using namespace std::chrono_literals;
using say_function = std::function<void(const std::string&)>;

constexpr auto poll_every = 50ms;
constexpr auto answer_time = 2s;  // of one node to one question

void prepare(const manifest& m, const std::string& machine, const run_dir& dir, const say_function& say) {
  write_whole(dir.manifest_copy(), m.text);
  if (m.certs.value == "auto")
    make_certificates(m, dir.certs());
  model_parts folders;
  for (const auto& n : m.nodes) {
    if (!machine.empty() && n.machine != machine)
      continue;
    fs::create_directories(dir.node(n.name.value));
    cut_parts(m, n, dir, folders);
    say("prepared " + n.name.value);
  }
}

void start_keeper(const manifest& m, const std::string& machine, const run_dir& dir, const lock_file& lock) {
  child_options child;
  child.arguments = {"virga", "keeper", "--manifest", dir.manifest_copy(), "--base", m.base, "--run-dir", dir.root,
                     "--lock-fd", std::to_string(lock.fd())};
  if (!machine.empty())
    child.arguments.insert(child.arguments.end(), {"--machine", machine});
  child.log = log_dir(m.deployment) / "keeper.log";
  child.keep_fd = lock.fd();
  start_detached(child);
}

/// What a person needs to see of the nodes that did not come up.
std::string report(const manifest& m, const std::vector<node_view>& nodes) {
  std::string text;
  for (const auto& n : nodes) {
    if (is_complete(m, n))
      continue;
    auto log = log_dir(m.deployment) / (n.entry->name.value + ".log");
    text += "\n" + n.entry->name.value + ": " + (n.reason.empty() ? "not ready" : n.reason) + "\n  " + log.string() + " ends:";
    auto lines = last_lines(log, 10);
    for (std::size_t at = 0; at < lines.size();) {
      auto end = std::min(lines.find('\n', at), lines.size());
      text += "\n    " + lines.substr(at, end - at);
      at = end + 1;
    }
  }
  if (nodes.empty())
    text += "\n" + last_lines(log_dir(m.deployment) / "keeper.log", 5);
  return text;
}

bool keeper_lives(const run_dir& dir) {
  auto all = processes_of(dir.root);
  return std::any_of(all.begin(), all.end(), [](const process& p) { return p.command == "keeper"; });
}

/// @throws failed when a node gives up, the keeper dies or the time is over
void wait_until_complete(const manifest& m, const run_dir& dir, std::chrono::seconds limit, const say_function& say) {
  auto end = std::chrono::steady_clock::now() + limit;
  std::set<std::string> announced;
  for (;;) {
    auto nodes = look_at(m, dir, answer_time);
    bool complete = !nodes.empty();
    for (const auto& n : nodes) {
      complete &= is_complete(m, n);
      if (is_complete(m, n) && announced.insert(n.entry->name.value).second)
        say(n.entry->name.value + " is ready");
      if (n.kept.state == "failed")
        throw failed(n.entry->name.value + " does not start" + report(m, nodes));
    }
    if (complete)
      return;
    if (std::chrono::steady_clock::now() > end)
      throw failed("not ready after " + std::to_string(limit.count()) + " s:" + report(m, nodes));
    std::this_thread::sleep_for(poll_every);
    if (!keeper_lives(dir))
      throw failed("the keeper ended:" + report(m, {}));
  }
}

std::string machine_of(const manifest& m, const std::string& asked) {
  std::set<std::string> all;
  for (const auto& n : m.nodes)
    all.insert(n.machine);
  if (asked.empty() && all.size() > 1) {
    std::string names;
    for (const auto& n : all)
      names += (names.empty() ? "" : ", ") + n;
    throw bad_input(m.file.string() + " spans the machines " + names + ": say which one this is with --machine");
  }
  return asked;
}

void remove_leftovers(const run_dir& dir) {
  if (processes_of(dir.root).empty() && !fs::exists(dir.manifest_copy()))
    return;
  take_down(dir);
}

up_result join_running(const manifest& m, const run_dir& dir, std::chrono::seconds limit, const say_function& say) {
  for (int i = 0; i < 100 && read_whole(dir.manifest_copy()).empty(); ++i)
    std::this_thread::sleep_for(poll_every);  // another `up` has just begun
  if (read_whole(dir.manifest_copy()) != m.text)
    throw failed(m.deployment + " already runs with another manifest: `virga down` first");
  wait_until_complete(m, dir, limit, say);
  return up_result::was_running;
}

} // namespace

up_result bring_up(const manifest& m, const std::string& machine, std::chrono::seconds limit, const say_function& say) {
  auto here = machine_of(m, machine);
  auto dir = run_dir_of(m.deployment);
  make_run_dir(dir);
  if (!lock_file::try_take(dir.lock_file()))
    return join_running(m, dir, limit, say);
  remove_leftovers(dir);
  make_run_dir(dir);
  auto lock = lock_file::try_take(dir.lock_file());
  if (!lock)
    return join_running(m, dir, limit, say);
  try {
    prepare(m, here, dir, say);
    start_keeper(m, here, dir, *lock);
    wait_until_complete(m, dir, limit, say);
  } catch (...) {
    take_down(dir);
    throw;
  }
  return up_result::started;
}

void wait_for_start(const run_dir& dir) {
  for (int i = 0; i < 200 && fs::exists(dir.lock_file()) && processes_of(dir.root).empty(); ++i) {
    if (lock_file::try_take(dir.lock_file()))
      return;
    std::this_thread::sleep_for(poll_every);
  }
}

bool take_down(const run_dir& dir) {
  auto all = processes_of(dir.root);
  bool something = !all.empty() || fs::exists(dir.root);
  std::chrono::seconds drain{10};
  try {
    drain = std::chrono::seconds(running_manifest(dir).drain_s);
  } catch (const std::exception&) {
    // the run directory is damaged; the usual time will do
  }
  // The keeper ends its nodes in order; without one they get the signal themselves.
  bool kept = std::any_of(all.begin(), all.end(), [](const process& p) { return p.command == "keeper"; });
  for (const auto& p : all)
    if (!kept || p.command == "keeper")
      send_signal(p, SIGTERM);
  wait_until_gone(all, drain + 4s);
  all = processes_of(dir.root);
  for (const auto& p : all)
    send_signal(p, SIGKILL);
  if (!wait_until_gone(all, 5s))
    throw failed("process " + std::to_string(all.front().pid) + " does not end even when killed: is its disk gone?");
  remove_run_dir(dir);
  return something;
}

manifest running_manifest(const run_dir& dir) {
  if (!fs::exists(dir.manifest_copy()))
    throw bad_input(dir.deployment() + " does not run: start it with `virga up MANIFEST`");
  return load_manifest(dir.manifest_copy());
}

run_dir find_running(const std::string& manifest_file) {
  if (!manifest_file.empty())
    return run_dir_of(load_manifest(manifest_file).deployment);
  auto all = known_deployments();
  if (all.empty())
    throw bad_input("nothing runs: start a deployment with `virga up MANIFEST`");
  if (all.size() > 1) {
    std::string names;
    for (const auto& n : all)
      names += " " + n;
    throw bad_input("several deployments run (" + names.substr(1) + "): name the manifest of the one you mean");
  }
  return run_dir_of(all.front());
}

} // namespace virga::deploy
