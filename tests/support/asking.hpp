// tests/support/asking.hpp: a request that runs while a test breaks what it runs on.
#pragma once

#include "tests/support/running_deployment.hpp"

#include <atomic>
#include <optional>
#include <thread>

namespace virga::testing {

using steady = std::chrono::steady_clock;

/// One question, asked by a thread of its own.
struct asking {
  asking(const running_deployment& d, const std::string& strategy, const models::world::question& q, const std::string& node = "edge-1")
    : thread([this, &d, strategy, node, prompt = q.prompt] {
        try {
          result = d.ask(node, strategy, prompt, [this](std::string_view) { ++pieces; });
        } catch (const std::exception& e) {
          error = e.what();
        }
        ended = steady::now();
      }) {}
  ~asking() { wait(); }

  bool await_pieces(int n) const {
    for (int i = 0; i < 400 && pieces < n; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return pieces >= n;
  }
  void wait() {
    if (thread.joinable())
      thread.join();
  }

  std::atomic<int> pieces{0};
  std::optional<deploy::reply> result;
  std::string error;
  steady::time_point ended;
  std::thread thread;
};

} // namespace virga::testing
