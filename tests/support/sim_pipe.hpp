// tests/support/sim_pipe.hpp: the byte pipe between two links in virtual time, in the place of a TCP connection with TLS. Delay,
// rate, jitter and faults as a test says; bytes of one connection stay in order, whatever happens to it.
#pragma once

#include "actors/link/transport.hpp"

#include <caf/actor_system.hpp>

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>

namespace virga::testing {

struct pipe_shape {
  caf::timespan delay = std::chrono::milliseconds(5);  ///< one way
  caf::timespan jitter{0};                             ///< added to the delay, up to this much
  std::uint64_t bytes_per_s = 0;                       ///< each way; 0: unlimited
  std::uint64_t down_bytes_per_s = 0;                  ///< from the acceptor to the dialer; 0: as the other way
};

/// Must outlive its actor system's last event; shared by both ends.
class sim_pipe : public std::enable_shared_from_this<sim_pipe> {
public:
  enum side { dialer = 0, acceptor = 1 };

  sim_pipe(caf::actor_system& sys, std::string dialer_name, std::string acceptor_name, pipe_shape shape,
           std::uint64_t seed);
  ~sim_pipe();

  /// The transport of one end; the one before it, if any, is gone.
  std::unique_ptr<transport> attach(side s, pipe_events events);

  // Faults.
  void cut(const std::string& reason);           ///< both ends see the connection go now
  void stall(caf::timespan how_long);            ///< nothing arrives meanwhile; nothing is lost
  void reshape(pipe_shape shape) { shape_ = shape; }
  void repeat(std::size_t sends) { repeats_ = sends; }  ///< of the next sends each arrives twice
  void reorder(std::size_t sends) { reorders_ = sends; }  ///< of the next sends every other arrives behind those that follow it
  /// What this end sends is held, and no connection comes up, until it passes again. Nothing is lost.
  void partition(side from, bool on);
  void heal();  ///< no partition, repeat or reorder any more; a stall ends by itself
  time_point stalled_until() const { return stalled_until_; }
  pipe_shape shape() const { return shape_; }

  /// Sees every byte that an end sends, in order, before it travels.
  void tap(std::function<void(side from, const byte_buffer&)> listener) { tap_ = std::move(listener); }

  bool connected() const { return connected_; }

private:
  friend class sim_transport;
  struct end {
    std::string name;
    pipe_events events;
    std::uint64_t attachment = 0;  ///< counts transports
    std::uint64_t connection = 0;  ///< of the attached transport; counts its connections
    bool waiting = false;          ///< acceptor: expects a call
    std::deque<byte_buffer> inbox; ///< arrived, not read
    std::size_t read = 0;          ///< bytes of the first of these that are
    bool full = false;             ///< took no more; its link hears when it does again
    bool silent = false;           ///< what it sends is held
    bool deserted = false;         ///< its connection is gone and nobody could tell it
    std::deque<byte_buffer> held;  ///< arrived for it while nothing passes
    time_point line_free{};        ///< when what was sent so far has left
    time_point last_arrival{};
  };

  void open(side s, std::uint64_t attachment);
  void meet(std::uint64_t dial_attachment);
  std::size_t write(side s, std::uint64_t attachment, std::uint64_t connection, std::span<const std::byte> bytes);
  std::size_t read(side s, std::uint64_t attachment, std::uint64_t connection, std::span<std::byte> room);
  void carry(side to, byte_buffer data, time_point at);
  void release(side to);
  void arrive(side to, byte_buffer data);
  void close(side s, std::uint64_t attachment, std::uint64_t connection, const std::string& reason);
  void detach(side s, std::uint64_t attachment);
  void part(const std::string& reason, bool tell_dialer, bool tell_acceptor);
  void later(time_point when, std::function<void()> what);
  time_point now() const;

  caf::actor_system& sys_;
  caf::actor clock_;
  std::array<end, 2> ends_;
  pipe_shape shape_;
  std::mt19937_64 random_;
  bool connected_ = false;
  std::uint64_t epoch_ = 0;  ///< counts connections of the pipe: events of older ones are void
  time_point stalled_until_{};
  std::size_t repeats_ = 0, reorders_ = 0;
  std::function<void(side, const byte_buffer&)> tap_;
};

} // namespace virga::testing
