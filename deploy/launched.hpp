// deploy/launched.hpp: a deployment that runs as long as this object.
#pragma once

#include "deploy/lifecycle.hpp"

namespace virga::deploy {

/// Takes the deployment down again, also after an error or a signal; one that ran before is left alone.
struct launched {
  /// @throws failed when it runs already, or does not come up
  launched(const manifest& m, std::function<void(const std::string&)> say_what);
  ~launched();
  launched(const launched&) = delete;
  launched& operator=(const launched&) = delete;

  run_dir dir;
  std::function<void(const std::string&)> say;
};

} // namespace virga::deploy
