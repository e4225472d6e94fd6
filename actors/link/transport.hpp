// actors/link/transport.hpp: the byte pipe below the link protocol. Two stand behind it: Asio with TLS (asio_transport.hpp)
// and the simulation's pipe (tests/sim). Whatever happens on the pipe reaches the LINK actor as one of the messages below.
#pragma once

#include "actors/interfaces.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <cstdint>
#include <string>

namespace virga {

/// A connection is there: bytes may flow. `connection` numbers the connections of one transport from 1.
struct pipe_up {
  std::uint64_t connection = 0;
  std::string peer_name;  ///< the name that the peer's certificate proved, e.g. "edge-1"
};

/// Bytes of this connection, in order.
struct pipe_bytes {
  std::uint64_t connection = 0;
  byte_buffer data;
};

/// The connection is gone, or could not be made; one sentence says why. No more bytes of it follow.
struct pipe_down {
  std::uint64_t connection = 0;
  std::string reason;
};

/// The pipe has taken `bytes` more of what it was given; the link keeps what is unsent to about one slice.
struct pipe_drained {
  std::uint64_t connection = 0;
  std::uint64_t bytes = 0;
};

/// The pipe's end that the link holds. Called from the link actor only; never blocks.
class transport {
public:
  virtual ~transport() = default;

  /// Begin to dial (or to expect the peer's call). The transport answers with pipe_up or pipe_down. Again after a pipe_down:
  /// the link decides when (back-off).
  virtual void open() = 0;

  /// Takes the bytes of whole wire units for this connection; ignored when the connection is gone.
  virtual void send(std::uint64_t connection, byte_buffer data) = 0;

  /// Ends the connection; pipe_down follows.
  virtual void close(std::uint64_t connection, const std::string& reason) = 0;
};

/// What a transport tells its link.
using pipe_events = caf::typed_actor<caf::reacts_to<pipe_up>, caf::reacts_to<pipe_bytes>, caf::reacts_to<pipe_down>,
                                     caf::reacts_to<pipe_drained>>;

} // namespace virga

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::pipe_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::pipe_bytes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::pipe_down)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::pipe_drained)
