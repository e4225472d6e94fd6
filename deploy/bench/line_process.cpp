#include "deploy/bench/line_process.hpp"

#include "deploy/failures.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace virga::deploy {
namespace {

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (auto& w : words)
    all.push_back(w.data());
  all.push_back(nullptr);
  return all;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& more) {
  std::vector<std::string> all;
  for (auto** e = environ; *e != nullptr; ++e) {
    std::string entry(*e);
    if (!more.contains(entry.substr(0, entry.find('='))))
      all.push_back(std::move(entry));
  }
  for (auto& [key, value] : more)
    all.push_back(key + "=" + value);
  return all;
}

} // namespace

line_process::line_process(std::string name, std::vector<std::string> program,
                           const std::map<std::string, std::string>& environment)
    : name_(std::move(name)) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw failed(name_ + " cannot be started: " + std::strerror(errno));
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 0);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  auto variables = environment_with(environment);
  auto error = ::posix_spawnp(&pid_, program.front().c_str(), &actions, nullptr, pointers(program).data(),
                              pointers(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  fd_ = ends[0];
  if (error != 0) {
    ::close(fd_);
    throw failed(name_ + " cannot be started: " + program.front() + ": " + std::strerror(error));
  }
}

line_process::~line_process() {
  ::close(fd_);
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::string line_process::hear(std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    if (auto at = heard_.find('\n'); at != std::string::npos) {
      auto line = heard_.substr(0, at);
      heard_.erase(0, at + 1);
      return line;
    }
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    ::pollfd p{fd_, POLLIN, 0};
    if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) == 0)
      throw failed(name_ + " said nothing for " + std::to_string(limit.count()) + " s");
    char buffer[4096];
    auto got = ::read(fd_, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      throw failed(name_ + " ended; what it said stands above");
    heard_.append(buffer, static_cast<std::size_t>(got));
  }
}

std::string line_process::ask(const std::string& line, std::chrono::seconds limit) {
  auto text = line + "\n";
  if (::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
    throw failed(name_ + " ended; what it said stands above");
  return hear(limit);
}

} // namespace virga::deploy
