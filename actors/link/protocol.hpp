// actors/link/protocol.hpp: the link protocol as a plain class: events in, actions out. No CAF actor, socket or clock.
//
// Order on one connection: hello of each side first; then messages numbered from 1 in each direction. What does not fit
// (copies, wrong turns, other incarnations) is refused and counted, never passed on.
#pragma once

#include "actors/link/handshake.hpp"
#include "actors/link/link_meter.hpp"
#include "actors/link/send_queue.hpp"
#include "actors/link/send_window.hpp"
#include "actors/link/sequence_check.hpp"
#include "actors/planted.hpp"
#include "messages/codec.hpp"

#include <optional>
#include <random>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace virga {

// -- actions, to be carried out in order -------------------------------------------------------------------------------

struct open_pipe {};
struct close_pipe { std::uint64_t connection = 0; std::string reason; byte_buffer last_words; };
struct deliver_frame { frame message; };  ///< a request or an answer; never one of the link's own frames
/// A sound message with contents that are not taken: a failure for the asker, here or at the peer.
struct refused_frame { header hdr; failure why; };
struct peer_up { hello peer; };
struct peer_roles { std::vector<role_status> roles; };
struct peer_down { std::string reason; };

using link_action = std::variant<open_pipe, close_pipe, deliver_frame, refused_frame, undelivered, peer_up, peer_roles,
                                 peer_down>;
using link_actions = std::vector<link_action>;

struct protocol_options {
  handshake names;
  bool dialing = true;
  std::chrono::nanoseconds heartbeat = std::chrono::milliseconds(500);
  std::chrono::nanoseconds dead_after = std::chrono::milliseconds(2500);
  std::chrono::nanoseconds backoff_min = std::chrono::milliseconds(100);
  std::chrono::nanoseconds backoff_max = std::chrono::seconds(1);
  std::uint64_t seed = 0;  ///< of the jitter
  std::size_t queue_bytes = link_defaults::queue_bytes;
  planted_bug planted = planted_bug::none;
};

struct protocol_counters {
  std::uint64_t duplicates = 0;         ///< messages that came twice
  std::uint64_t out_of_order = 0;
  std::uint64_t stale_incarnation = 0;  ///< messages for an instance of a role that no longer runs
  std::uint64_t refused_frames = 0;     ///< sound frames with contents beyond a limit; answered
  std::uint64_t broken_streams = 0;     ///< connections ended for bytes that are no frames
  std::uint64_t refusals = 0;           ///< handshakes refused, by either side
  std::uint64_t connections = 0;        ///< that came up
  std::uint64_t bytes_out = 0;          ///< of data frames, over all connections
  std::uint64_t bytes_in = 0;
};

class link_protocol {
public:
  enum class state { down, dialing, handshaking, up };

  explicit link_protocol(protocol_options options);

  // Events. Time never runs backwards. Events of older connections are ignored.
  link_actions start(time_point now);
  link_actions on_pipe_up(std::uint64_t connection, const std::string& peer_name, time_point now);
  link_actions on_pipe_down(std::uint64_t connection, const std::string& reason, time_point now);
  link_actions on_tick(time_point now);
  /// Sends a request or an answer. Not up or queue full: comes back as `undelivered`.
  link_actions send(frame f, time_point now);
  link_actions roles_changed(std::vector<role_status> roles, time_point now);

  // Bytes. Whoever carries them out moves what there is after each event.
  /// The connection in use; 0: none.
  std::uint64_t connection() const noexcept { return connection_; }
  /// Where its next received bytes go, and then: so many were put there.
  std::span<std::byte> room() { return decoder_->room(); }
  link_actions on_received(std::size_t bytes, time_point now);
  /// What has to be sent next, empty when nothing may, and then: so many of these bytes were taken. Valid until the next
  /// event or outgoing().
  std::span<const std::byte> outgoing(time_point now);
  link_actions on_sent(std::size_t bytes, time_point now);

  /// When on_tick() is due; time_point::max() when nothing waits for time.
  time_point next_tick() const;

  state current() const noexcept { return state_; }
  bool is_up() const noexcept { return state_ == state::up; }
  link_meter& meter() noexcept { return meter_; }
  const link_meter& meter() const noexcept { return meter_; }
  const send_window& window() const noexcept { return window_; }
  const protocol_counters& counters() const noexcept { return counters_; }
  std::size_t queued_bytes() const noexcept { return queue_.bytes(); }

private:
  void take(received& r, time_point now);
  bool in_turn(const received& r, time_point now);
  void greeted(payload& body, time_point now);
  void own_frame(payload& body, time_point now);
  bool for_running_role(const frame& f);
  void broken(const caf::error& why, time_point now);
  void refuse_peer(std::string sentence, time_point now);
  void end(std::string reason, time_point now, bool refused = false, byte_buffer last_words = {});
  void ask_for_life(time_point now);
  void lose(std::string reason, time_point now, bool refused = false);
  std::chrono::nanoseconds backoff(bool refused);
  void push_own(payload body);
  void measure_rate();
  void grant(time_point now, bool all);
  bool unit_waits() const noexcept { return unit_sent_ < unit_.size(); }  // for the pipe
  bool next_unit(time_point now);
  void keep_unit();
  void return_undelivered();
  link_actions finish(time_point now);

  protocol_options options_;
  state state_ = state::down;
  std::uint64_t connection_ = 0;        // of the pipe in use; 0: none
  std::uint64_t newest_ = 0;            // highest number of a connection that was seen
  std::string certificate_name_;
  std::mt19937_64 random_;
  std::uint32_t failures_ = 0;          // since the link was last up
  bool untold_roles_ = false;           // changed since the hello was sent
  time_point retry_at_ = time_point::max();
  time_point connected_at_{}, last_received_{}, next_ping_{};
  send_queue queue_;
  std::optional<frame_decoder> decoder_;
  sequence_check sequence_;
  link_meter meter_;
  send_window window_;
  wire_unit unit_;                      // that leaves now
  std::size_t unit_sent_ = 0;           // bytes of it that have left
  std::uint64_t granted_ = 0;           // data bytes received that credit was given back for
  std::uint64_t granted_bulk_ = 0;      // bulk bytes received at that time
  protocol_counters counters_;
  link_actions actions_;
};

} // namespace virga
