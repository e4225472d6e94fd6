// actors/link/asio_unit.hpp: where a network's thread runs actors (hosted.hpp). Private to the asio_*.cpp files.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <caf/actor_system.hpp>
#include <caf/execution_unit.hpp>
#include <caf/logger.hpp>
#include <caf/resumable.hpp>

namespace virga {

/// Runs actors on the network's thread.
class io_unit : public caf::execution_unit {
public:
  io_unit(caf::actor_system& system, boost::asio::io_context& io) : caf::execution_unit{&system}, io_{io} {}

  void exec_later(caf::resumable* job) override {
    boost::asio::post(io_, [this, job] { resume(job); });
  }

private:
  static constexpr std::size_t messages_at_once = 64;  // then sockets and the other links have their turn

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
};

} // namespace virga
