// deploy/bench/mailbox.hpp: what actors give to a thread that waits for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace virga::deploy {

template <class T>
class mailbox {
public:
  void put(T x) {
    std::lock_guard hold{mutex_};
    all_.push_back(std::move(x));
    changed_.notify_one();
  }

  /// @throws std::runtime_error when nothing comes in time
  T take(std::chrono::seconds limit = std::chrono::seconds{300}) {
    std::unique_lock hold{mutex_};
    if (!changed_.wait_for(hold, limit, [this] { return !all_.empty(); }))
      throw std::runtime_error("the benchmark waited in vain for an answer");
    auto x = std::move(all_.front());
    all_.pop_front();
    return x;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> all_;
};

} // namespace virga::deploy
