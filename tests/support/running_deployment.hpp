// tests/support/running_deployment.hpp: the demo deployment as real processes, started and ended by the real command, in a
// runtime folder and on ports of its own, so that tests can run side by side.
#pragma once

#include "deploy/ask.hpp"
#include "deploy/lifecycle.hpp"
#include "deploy/processes.hpp"
#include "deploy/run_dir.hpp"
#include "models/world/question.hpp"
#include "tests/deploy/scratch.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace virga::testing {

class running_deployment {
public:
  /// A text of the demo's manifest and what stands there instead.
  using change = std::pair<std::string, std::string>;

  /// @param name of the deployment @param link_port where the cloud listens; gateways take any free port
  /// @throws std::runtime_error with what the command printed
  running_deployment(const std::string& name, std::uint16_t link_port, const std::vector<change>& changes = {});
  ~running_deployment();

  std::uint16_t api_port(const std::string& node) const;
  /// A question with a long answer, the n-th of a fixed list.
  const models::world::question& long_question(std::size_t n) const { return long_.at(n); }

  deploy::reply ask(const std::string& node, const std::string& strategy, const std::string& prompt,
                    const std::function<void(std::string_view)>& on_text = {}) const;

  /// The process of a node now; throws when there is none.
  deploy::process process_of(const std::string& node) const;
  void signal(const std::string& node, int number) const;

  /// Waits until a node's gateway serves the strategy (or no longer does). @returns false after `limit`
  bool await(const std::string& node, const std::string& strategy, bool served, std::chrono::milliseconds limit) const;

  /// `virga ARGUMENTS`; @returns its exit code, its output in `printed`
  int command(const std::string& arguments, std::string* printed = nullptr) const;

  /// `virga chaos edge-1 WHAT`. @throws std::runtime_error with what the command printed
  void chaos(const std::string& what) const;

  const deploy::run_dir& dir() const { return dir_; }
  std::filesystem::path manifest() const { return scratch_.path / "manifest.yaml"; }

private:
  scratch scratch_;
  deploy::run_dir dir_;
  std::vector<models::world::question> long_;
};

} // namespace virga::testing
