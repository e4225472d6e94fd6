#include "deploy/processes.hpp"

#include "deploy/failures.hpp"
#include "deploy/run_dir.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace virga::deploy {
namespace fs = std::filesystem;
namespace {

constexpr std::uintmax_t max_log_bytes = 8u * 1024 * 1024;

/// Field 22 of /proc/PID/stat; 0 when there is no such process, or only its corpse.
std::uint64_t start_time(pid_t pid) {
  auto text = read_whole("/proc/" + std::to_string(pid) + "/stat");
  auto at = text.rfind(')');  // the name may hold anything
  if (at == std::string::npos || at + 2 >= text.size() || text[at + 2] == 'Z' || text[at + 2] == 'X')
    return 0;
  for (int field = 2; field < 22 && at != std::string::npos; ++field)
    at = text.find(' ', at + 1);
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at, nullptr, 10);
}

std::vector<std::string> command_line(pid_t pid) {
  auto text = read_whole("/proc/" + std::to_string(pid) + "/cmdline");
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    auto end = std::min(text.find('\0', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

std::string after(const std::vector<std::string>& words, const std::string& option) {
  auto i = std::find(words.begin(), words.end(), option);
  return i == words.end() || i + 1 == words.end() ? "" : *(i + 1);
}

bool is_ours(const fs::path& proc_entry) {
  struct stat info {};
  return ::stat(proc_entry.c_str(), &info) == 0 && info.st_uid == ::geteuid();
}

void rotate(const fs::path& log) {
  std::error_code error;
  if (auto size = fs::file_size(log, error); !error && size > max_log_bytes)
    fs::rename(log, log.string() + ".1", error);
}

/// After fork and before exec: only calls that are safe there.
[[noreturn]] void become(const child_options& o, char* const* arguments, int log, pid_t parent) {
  ::sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  if (o.keep_fd >= 0)
    ::fcntl(o.keep_fd, F_SETFD, 0);
  if (o.dies_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent)
      ::_exit(1);
  }
  ::execv("/proc/self/exe", arguments);
  ::_exit(127);
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> all;
  for (const auto& w : words)
    all.push_back(const_cast<char*>(w.c_str()));
  all.push_back(nullptr);
  return all;
}

} // namespace

std::vector<process> processes_of(const fs::path& run_dir) {
  std::vector<process> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    auto name = entry.path().filename().string();
    pid_t pid = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || end != name.data() + name.size() || pid == ::getpid() || !is_ours(entry.path()))
      continue;
    auto words = command_line(pid);
    if (words.size() < 2 || (words[1] != "keeper" && words[1] != "node") || after(words, "--run-dir") != run_dir.string())
      continue;
    if (auto started = start_time(pid))
      found.push_back({pid, started, words[1], after(words, "--name")});
  }
  return found;
}

bool is_alive(const process& p) { return start_time(p.pid) == p.started; }

void send_signal(const process& p, int signal) {
  if (is_alive(p))
    ::kill(p.pid, signal);
}

bool wait_until_gone(const std::vector<process>& all, std::chrono::milliseconds limit) {
  auto end = std::chrono::steady_clock::now() + limit;
  while (std::any_of(all.begin(), all.end(), is_alive)) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

std::map<std::string, std::string> thread_environment(std::uint64_t count) {
  auto text = std::to_string(count);
  return {{"OMP_NUM_THREADS", text}, {"MKL_NUM_THREADS", text}, {"GOMP_SPINCOUNT", "1000"}};
}

void use_threads(std::uint64_t count) {
  if (std::getenv("OMP_NUM_THREADS"))
    return;
  for (const auto& [variable, value] : thread_environment(count))
    ::setenv(variable.c_str(), value.c_str(), 0);
  auto words = command_line(::getpid());
  ::execv("/proc/self/exe", pointers(words).data());  // on failure: go on with the threads there are
}

pid_t start_child(const child_options& options) {
  rotate(options.log);
  int log = ::open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0)
    throw failed(options.log.string() + " cannot be written: " + std::strerror(errno));
  auto arguments = pointers(options.arguments);
  for (const auto& [key, value] : options.environment)
    ::setenv(key.c_str(), value.c_str(), 1);
  auto parent = ::getpid();
  auto pid = ::fork();
  if (pid == 0)
    become(options, arguments.data(), log, parent);
  ::close(log);
  if (pid < 0)
    throw failed(std::string("no process can be started: ") + std::strerror(errno));
  return pid;
}

void start_detached(const child_options& options) {
  auto middle = ::fork();
  if (middle < 0)
    throw failed(std::string("no process can be started: ") + std::strerror(errno));
  if (middle == 0) {
    ::setsid();
    try {
      start_child(options);
      ::_exit(0);
    } catch (const std::exception&) {
      ::_exit(1);
    }
  }
  int status = 0;
  while (::waitpid(middle, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw failed("the keeper cannot be started: is " + options.log.string() + " writable?");
}

} // namespace virga::deploy
