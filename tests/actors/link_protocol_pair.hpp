// Two link protocols, an edge that dials and a cloud that accepts, joined by a wire that the test holds in its hands.
#pragma once

#include "actors/link/protocol.hpp"

#include <cstring>
#include <deque>
#include <string>
#include <vector>

namespace virga::testing {

using namespace std::chrono_literals;

inline protocol_options edge_options() {
  protocol_options o;
  o.names = {{0, "home", "edge-1", "", 0, 0, 0, dtype::f32, {}}, "cloud", "cloud-1"};
  o.seed = 1;
  return o;
}

inline protocol_options cloud_options() {
  protocol_options o;
  o.names = {{0, "cloud", "cloud-1", "", 0, 0, 0, dtype::f32, {{role::verifier, 7}}}, "home", "edge-1"};
  o.dialing = false;
  o.seed = 2;
  return o;
}

/// Bytes of the unit that begins here, prefix included.
inline std::size_t unit_size(std::span<const std::byte> unit) {
  std::uint32_t body;
  std::memcpy(&body, unit.data(), sizeof body);
  return wire_prefix_bytes + body;
}

inline byte_buffer bytes_of(const wire_unit& u) {
  auto bytes = u.head;
  bytes.insert(bytes.end(), u.data.begin(), u.data.end());
  return bytes;
}

/// One side and everything that its actions have asked for.
struct side {
  explicit side(protocol_options o) : name{o.names.own.node}, protocol{std::move(o)} {}

  /// The next unit, whole; empty when none may leave.
  byte_buffer next(time_point now) {
    byte_buffer unit;
    do {
      auto bytes = protocol.outgoing(now);
      unit.insert(unit.end(), bytes.begin(), bytes.end());
      take(protocol.on_sent(bytes.size(), now));
    } while (!unit.empty() && unit.size() < unit_size(unit));
    return unit;
  }
  /// Receives bytes as from a pipe.
  void receive(std::span<const std::byte> bytes, time_point now) {
    while (!bytes.empty() && protocol.connection() != 0) {
      auto room = protocol.room();
      auto size = std::min(room.size(), bytes.size());
      std::copy_n(bytes.begin(), size, room.begin());
      bytes = bytes.subspan(size);
      take(protocol.on_received(size, now));
    }
  }
  void take(link_actions actions) {
    for (auto& a : actions)
      std::visit([this](auto& x) { act(x); }, a);
  }
  void act(open_pipe&) { ++opens; }
  void act(close_pipe& x) {
    closes.push_back(x.reason);
    if (!x.last_words.empty())
      outbox.push_back(std::move(x.last_words));
  }
  void act(deliver_frame& x) { got.push_back(std::move(x.message)); }
  void act(refused_frame& x) { refused.push_back(x.why); }
  void act(undelivered& x) { back.push_back(std::move(x)); }
  void act(peer_up& x) { ups.push_back(x.peer); }
  void act(peer_roles& x) { roles.push_back(x.roles); }
  void act(peer_down& x) { downs.push_back(x.reason); }

  std::string name;
  link_protocol protocol;
  int opens = 0;
  std::deque<byte_buffer> outbox;  // on the wire
  std::vector<std::string> closes, downs;
  std::vector<frame> got;
  std::vector<failure> refused;
  std::vector<undelivered> back;
  std::vector<hello> ups;
  std::vector<std::vector<role_status>> roles;
};

/// Bytes as they come from a connection.
inline void put(frame_decoder& decoder, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    auto room = decoder.room();
    auto size = std::min(room.size(), bytes.size());
    std::copy_n(bytes.begin(), size, room.begin());
    decoder.filled(size);
    bytes = bytes.subspan(size);
  }
}

struct link_pair {
  explicit link_pair(protocol_options e = edge_options(), protocol_options c = cloud_options())
    : edge{std::move(e)}, cloud{std::move(c)} {
    edge.take(edge.protocol.start(now));
    cloud.take(cloud.protocol.start(now));
  }

  void connect() {
    ++connection;
    edge.outbox.clear();
    cloud.outbox.clear();
    edge.take(edge.protocol.on_pipe_up(connection, cloud.name, now));
    cloud.take(cloud.protocol.on_pipe_up(connection, edge.name, now));
  }
  void cut(const std::string& reason = "cut") {
    edge.take(edge.protocol.on_pipe_down(connection, reason, now));
    cloud.take(cloud.protocol.on_pipe_down(connection, reason, now));
  }

  /// Carries one wire unit; @returns false when there is none.
  bool carry(side& from, side& to) {
    if (from.outbox.empty())
      send(from);
    if (from.outbox.empty())
      return false;
    auto data = std::move(from.outbox.front());
    from.outbox.pop_front();
    if (to.protocol.connection() == connection)
      to.receive(data, now);
    return true;
  }
  /// Puts the next unit on the wire; @returns its size, 0 when none may leave.
  std::size_t send(side& from) {
    auto unit = from.next(now);
    auto size = unit.size();
    if (size > 0)
      from.outbox.push_back(std::move(unit));
    return size;
  }
  void settle() {
    while (carry(edge, cloud) || carry(cloud, edge)) {
    }
  }
  /// Lets time pass in which both sides tick when they want to; bytes travel at once.
  void pass(std::chrono::nanoseconds t) {
    auto until = now + t;
    for (;;) {
      auto next = std::min(edge.protocol.next_tick(), cloud.protocol.next_tick());
      if (next > until)
        break;
      now = std::max(now, next);
      edge.take(edge.protocol.on_tick(now));
      cloud.take(cloud.protocol.on_tick(now));
      settle();
    }
    now = until;
  }
  void up() {
    connect();
    settle();
  }

  side edge, cloud;
  time_point now{1h};
  std::uint64_t connection = 0;
};

inline header head(std::uint64_t session, std::uint32_t unit = 0, role target = role::verifier) {
  return {{0, session}, 1, unit, 0, target, time_point{2h}};
}

inline frame verify_frame(std::uint64_t session, std::uint32_t rows, std::uint32_t unit = 0, std::uint32_t cols = 1024) {
  tensor t{dtype::f32, rows, cols, byte_buffer(std::size_t{rows} * cols * 4, std::byte{5})};
  return {head(session, unit), 0, {}, verify{unit, rows_wanted::last, std::move(t)}};
}

inline frame tokens_frame(std::uint64_t session, std::uint64_t position) {
  return {head(session, 0, role::session_host), 0, {}, tokens{position, {1}, "a"}};
}

} // namespace virga::testing
