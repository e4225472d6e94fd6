// The states of a link:
//
//              start / back-off over             pipe up: hello goes out
//     down ---------------------------> dialing ------------------------> handshaking
//      ^ ^ ^                               |                              |         |
//      | | |           pipe down           |                              |         | the peer's hello fits
//      | | +-------------------------------+                              |         v
//      | |      no hello in 5 s, refused by either side, pipe down        |        up <-> messages
//      | +----------------------------------------------------------------+         |
//      +----------------------------------------------------------------------------+
//            nothing received for dead_after, broken stream, refused by the peer, pipe down
//
// In `down` the dialing side waits 100 ms to 1 s (doubled at each failure, full jitter; a refused peer the longest time);
// the accepting side expects the next call at once.
#include "actors/link/protocol.hpp"

#include "messages/type_ids.hpp"

#include <algorithm>

namespace virga {

namespace {

std::string in_ms(std::chrono::nanoseconds t) {
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(t).count();
  return std::to_string(ms) + " ms";
}

} // namespace

link_protocol::link_protocol(protocol_options options)
  : options_{std::move(options)}, random_{options_.seed}, queue_{options_.queue_bytes}, meter_{options_.dialing} {
  auto& version = options_.names.own.protocol;
  version = version == 0 ? limits::protocol_version : version;
}

// -- events of the pipe ------------------------------------------------------------------------------------------------

link_actions link_protocol::start(time_point now) {
  retry_at_ = now;
  return finish(now);
}

link_actions link_protocol::on_pipe_up(std::uint64_t connection, const std::string& peer_name, time_point now) {
  if (connection <= newest_)
    return {};
  if (connection_ != 0)
    end("a newer connection took its place", now);
  state_ = state::handshaking;
  connection_ = newest_ = connection;
  certificate_name_ = peer_name;
  connected_at_ = last_received_ = now;
  retry_at_ = time_point::max();
  decoder_.emplace();
  sequence_ = {};
  granted_ = granted_bulk_ = 0;
  untold_roles_ = false;
  push_own(options_.names.own);
  return finish(now);
}

link_actions link_protocol::on_pipe_down(std::uint64_t connection, const std::string& reason, time_point now) {
  bool failed_dial = state_ == state::dialing && connection > newest_ && options_.planted != planted_bug::single_dial;
  newest_ = std::max(newest_, connection);
  if (failed_dial || connection == connection_)
    lose(reason, now);
  return finish(now);
}

link_actions link_protocol::on_tick(time_point now) {
  auto& peer = options_.names.peer_node;
  if (state_ == state::handshaking && now - connected_at_ >= link_defaults::handshake_time)
    end(peer + " said no hello within " + in_ms(link_defaults::handshake_time), now);
  else if (connection_ != 0 && now - last_received_ >= options_.dead_after)
    end(peer + " sent nothing for " + in_ms(options_.dead_after), now);
  else if (state_ == state::up && now >= next_ping_) {
    ask_for_life(now);
  }
  return finish(now);
}

void link_protocol::ask_for_life(time_point now) {
  next_ping_ = now + options_.heartbeat;
  window_.ping_sent();
  push_own(ping{static_cast<std::uint64_t>(now.time_since_epoch().count())});
}

time_point link_protocol::next_tick() const {
  auto dead_at = last_received_ + options_.dead_after;
  switch (state_) {
    case state::down: return retry_at_;
    case state::dialing: return time_point::max();
    case state::handshaking: return std::min<time_point>(dead_at, connected_at_ + link_defaults::handshake_time);
    case state::up: return std::min({dead_at, next_ping_, unit_waits() ? time_point::max() : window_.paced_until()});
  }
  return time_point::max();
}

// -- events of this side -----------------------------------------------------------------------------------------------

link_actions link_protocol::roles_changed(std::vector<role_status> roles, time_point now) {
  options_.names.own.roles = std::move(roles);
  if (state_ == state::up)
    push_own(status{options_.names.own.roles});
  else
    untold_roles_ = state_ == state::handshaking;  // the hello that is on its way has the former ones
  return finish(now);
}

// -- coming and going --------------------------------------------------------------------------------------------------

void link_protocol::broken(const caf::error& why, time_point now) {
  if (state_ == state::handshaking && code_of(why) == ec::handshake_refused)
    return refuse_peer(text_of(why), now);
  ++counters_.broken_streams;
  end("bytes from " + options_.names.peer_node + " are no frames: " + text_of(why), now);
}

/// Tells the peer why before it is closed, so that both logs say it.
void link_protocol::refuse_peer(std::string sentence, time_point now) {
  ++counters_.refusals;
  push_own(failure{ec::handshake_refused, 0, sentence});
  byte_buffer last_words;
  for (auto bytes = outgoing(now); !bytes.empty(); bytes = outgoing(now)) {
    last_words.insert(last_words.end(), bytes.begin(), bytes.end());
    unit_sent_ += bytes.size();
  }
  end("refused: " + sentence, now, true, std::move(last_words));
}

void link_protocol::end(std::string reason, time_point now, bool refused, byte_buffer last_words) {
  actions_.push_back(close_pipe{connection_, reason, std::move(last_words)});
  lose(std::move(reason), now, refused);
}

void link_protocol::lose(std::string reason, time_point now, bool refused) {
  state_ = state::down;
  connection_ = 0;
  decoder_.reset();
  queue_.clear();
  unit_ = {};
  unit_sent_ = 0;
  window_.connection_lost();
  meter_.connection_lost();
  retry_at_ = now + backoff(refused);
  actions_.push_back(peer_down{std::move(reason)});
}

std::chrono::nanoseconds link_protocol::backoff(bool refused) {
  if (!options_.dialing)
    return {};
  if (refused)
    return options_.backoff_max;
  failures_ = std::min(failures_ + 1, 20u);
  auto cap = std::min(options_.backoff_max, options_.backoff_min * (1 << failures_));
  std::uniform_int_distribution<std::int64_t> pick{options_.backoff_min.count(),
                                                   std::max(options_.backoff_min, cap).count()};
  return std::chrono::nanoseconds{pick(random_)};
}

link_actions link_protocol::finish(time_point now) {
  return_undelivered();
  if (state_ == state::down && now >= retry_at_) {
    state_ = state::dialing;
    retry_at_ = time_point::max();
    actions_.push_back(open_pipe{});
  }
  return std::exchange(actions_, {});
}

} // namespace virga
