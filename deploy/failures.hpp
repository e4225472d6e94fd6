// deploy/failures.hpp: how a command says that it could not do its work. Exit codes of `virga`: 0 done, 1 failed,
// 2 bad input (command line, manifest, model folder).
#pragma once

#include <stdexcept>

namespace virga::deploy {

/// What the user gave cannot be used; exit code 2.
struct bad_input : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// It was tried and did not work; exit code 1.
struct failed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

} // namespace virga::deploy
