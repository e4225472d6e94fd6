// deploy/bench/line_process.hpp: a child program that answers each line with a line.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

namespace virga::deploy {

class line_process {
public:
  /// @param program found in PATH unless it has a slash @param environment set besides what we have
  /// @param name of the program in errors @throws failed when it cannot be started
  line_process(std::string name, std::vector<std::string> program, const std::map<std::string, std::string>& environment);
  line_process(const line_process&) = delete;
  line_process& operator=(const line_process&) = delete;
  ~line_process();  ///< ends it

  /// The next line, without its end. @throws failed when it ended, or says nothing within `limit`
  std::string hear(std::chrono::seconds limit);

  std::string ask(const std::string& line, std::chrono::seconds limit);

  pid_t pid() const { return pid_; }

private:
  std::string name_, heard_;
  int fd_ = -1;
  pid_t pid_ = 0;
};

} // namespace virga::deploy
