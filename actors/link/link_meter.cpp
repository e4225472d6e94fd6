#include "actors/link/link_meter.hpp"

#include <algorithm>
#include <utility>

namespace virga {

namespace {

std::uint64_t smooth(std::uint64_t past, std::uint64_t sample) {
  return past == 0 ? sample : (4 * past + sample) / 5;
}

} // namespace

void link_meter::round_trip(std::chrono::nanoseconds t) {
  auto us = std::chrono::duration_cast<std::chrono::microseconds>(t).count();
  rtt_us_ = smooth(rtt_us_, static_cast<std::uint64_t>(std::max<std::int64_t>(us, 1)));
}

void link_meter::flow::add(std::uint64_t more, bool limited_by_link, time_point now) {
  auto passed = now - last;
  last = now;
  if (!limited_by_link)
    return;
  bytes += more;
  time += passed;
  if (time < sample_time)
    return;
  auto per_s = static_cast<double>(bytes) * 1e9 / static_cast<double>(time.count());
  rate = smooth(rate, static_cast<std::uint64_t>(per_s));
  bytes = 0;
  time = {};
}

void link_meter::flow::reset() {
  bytes = 0;
  time = {};
}

void link_meter::received(std::uint64_t bytes, bool incomplete, time_point now) {
  receiving_.add(bytes, incomplete_, now);
  incomplete_ = incomplete;
}

void link_meter::connection_lost() {
  receiving_.reset();
  incomplete_ = false;
  sessions_.clear();
}

traffic link_meter::quality() const noexcept {
  auto up = dialing_ ? send_rate_ : receiving_.rate;
  auto down = dialing_ ? receiving_.rate : send_rate_;
  return {0, 0, rtt_us_, up, down};
}

void link_meter::asked(const session_id& id) { ++sessions_[id].outstanding; }

void link_meter::repeated(const session_id& id) {
  if (auto i = sessions_.find(id); i != sessions_.end() && i->second.outstanding > 0)
    --i->second.outstanding;
}

void link_meter::session_bytes(const session_id& id, std::uint64_t sent, std::uint64_t received) {
  auto i = sessions_.find(id);
  if (i == sessions_.end())
    return;
  i->second.sent += sent;
  i->second.received += received;
}

traffic link_meter::answered(const session_id& id, bool last) {
  auto out = quality();
  auto i = sessions_.find(id);
  if (i == sessions_.end())
    return out;
  auto& a = i->second;
  out.bytes_up = std::exchange(dialing_ ? a.sent : a.received, 0);
  out.bytes_down = std::exchange(dialing_ ? a.received : a.sent, 0);
  if (last && a.outstanding <= 1)
    sessions_.erase(i);
  else if (last)
    --a.outstanding;
  return out;
}

} // namespace virga
