// actors/link/transport.hpp: the byte pipe below the link protocol. Two stand behind it: Asio with TLS (asio_transport.hpp)
// and the simulation's pipe (tests/sim). The link takes and gives bytes itself, straight from and into its own buffers;
// what happens on the pipe reaches the LINK actor as one of the messages below.
#pragma once

#include "actors/interfaces.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <cstdint>
#include <span>
#include <string>

namespace virga {

/// A connection is there: bytes may flow. `connection` numbers the connections of one transport from 1.
struct pipe_up {
  std::uint64_t connection = 0;
  std::string peer_name;  ///< the name that the peer's certificate proved, e.g. "edge-1"
};

/// After read() or write() had to stop: there may be bytes, or room, again. Also comes once after pipe_up.
struct pipe_ready {
  std::uint64_t connection = 0;
};

/// The connection is gone, or could not be made; one sentence says why. It gives and takes no more bytes.
struct pipe_down {
  std::uint64_t connection = 0;
  std::string reason;
};

/// The pipe's end that the link holds. Called from the link actor only; never blocks. Calls for a connection that is gone
/// do nothing.
class transport {
public:
  virtual ~transport() = default;

  /// Begin to dial (or to expect the peer's call). The transport answers with pipe_up or pipe_down. Again after a pipe_down:
  /// the link decides when (back-off).
  virtual void open() = 0;

  /// Takes bytes, in order. What it took may wait inside until flush().
  /// @returns how many it took; when not all, pipe_ready follows
  virtual std::size_t write(std::uint64_t connection, std::span<const std::byte> bytes) = 0;

  /// Sends what write() took.
  virtual void flush(std::uint64_t connection) = 0;

  /// Puts received bytes into `room`. @returns how many; with none, pipe_ready follows when there are some
  virtual std::size_t read(std::uint64_t connection, std::span<std::byte> room) = 0;

  /// Ends the connection once what was written has left; pipe_down follows.
  virtual void close(std::uint64_t connection, const std::string& reason) = 0;
};

/// What a transport tells its link.
using pipe_events = caf::typed_actor<caf::reacts_to<pipe_up>, caf::reacts_to<pipe_ready>, caf::reacts_to<pipe_down>>;

} // namespace virga

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::pipe_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::pipe_ready)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::pipe_down)
