// deploy/launched.hpp: a deployment that runs as long as this object.
#pragma once

#include "deploy/lifecycle.hpp"

#include <thread>

namespace virga::deploy {

/// Takes the deployment down again, also after an error; one that ran before is left alone. SIGINT and SIGTERM take it down as well
/// and end the process with 128 + their number. One at a time in a process.
struct launched {
  /// @throws failed when it runs already, or does not come up
  launched(const manifest& m, std::function<void(const std::string&)> say_what);
  ~launched();
  launched(const launched&) = delete;
  launched& operator=(const launched&) = delete;

  run_dir dir;
  std::function<void(const std::string&)> say;

private:
  void take_down_loudly();
  std::jthread watcher_;  ///< waits for a signal
};

} // namespace virga::deploy
