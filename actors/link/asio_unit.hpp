// actors/link/asio_unit.hpp: where a network's thread runs actors (hosted.hpp). Private to the asio_*.cpp files.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <caf/actor_system.hpp>
#include <caf/execution_unit.hpp>
#include <caf/logger.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <deque>
#include <mutex>

namespace virga {

/// Runs actors on the network's thread: those it hosts, and any other that one of these has woken.
class io_unit : public caf::execution_unit {
public:
  io_unit(caf::actor_system& system, boost::asio::io_context& io) : caf::execution_unit{&system}, io_{io} {}

  void exec_later(caf::resumable* job) override {
    std::lock_guard hold{mutex_};
    if (closed_)
      return system().scheduler().enqueue(job);
    jobs_.push_back(job);
    boost::asio::post(io_, [this] { resume(next()); });
  }

  /// The thread has ended: who was still to run here runs on the system's workers. Left in the queue, an actor that counts as
  /// scheduled would never run again.
  void close() {
    std::lock_guard hold{mutex_};
    closed_ = true;
    for (auto* job : jobs_)
      system().scheduler().enqueue(job);
    jobs_.clear();
  }

private:
  static constexpr std::size_t messages_at_once = 64;  // then sockets and the other links have their turn

  caf::resumable* next() {
    std::lock_guard hold{mutex_};
    auto* job = jobs_.front();
    jobs_.pop_front();
    return job;
  }

  void resume(caf::resumable* job) {
    if (job->resume(this, messages_at_once) == caf::resumable::resume_later)
      exec_later(job);
    else
      caf::intrusive_ptr_release(job);
    // Whoever spawns an actor keeps the system's logger with its thread, and the system's end waits until nobody has it. This
    // thread ends after the system.
    caf::logger::set_current_actor_system(nullptr);
  }

  boost::asio::io_context& io_;
  std::mutex mutex_;
  std::deque<caf::resumable*> jobs_;  ///< a reference to each is ours, and one handler of io_
  bool closed_ = false;
};

} // namespace virga
