#include "actors/link/send_window.hpp"

#include "messages/limits.hpp"

#include <algorithm>
#include <utility>

namespace virga {

namespace {

using std::chrono::nanoseconds;

std::uint64_t in_time(std::uint64_t rate, nanoseconds t) {
  return static_cast<std::uint64_t>(static_cast<double>(rate) * 1e-9 * static_cast<double>(t.count()));
}

/// By the peer's clock, which may say anything: an hour at most.
nanoseconds microseconds_between(std::uint64_t a, std::uint64_t b) {
  constexpr std::chrono::microseconds most = std::chrono::hours{1};
  return std::chrono::microseconds{std::min<std::uint64_t>(b - a, most.count())};
}

} // namespace

// -- measuring ---------------------------------------------------------------------------------------------------------

void send_window::sent(std::uint64_t bytes, priority urgency, time_point now) {
  marks_.push_back({sent_, sent_ + bytes, now, std::exchange(gap_, gap::none)});
  sent_ += bytes;
  under_way_ += bytes;
  if (urgency != priority::bulk)
    return;
  bulk_ += bytes;
  pace_bytes_ -= static_cast<double>(bytes);
}

/// Takes away the marks of what is credited. @returns the worst gap between them
send_window::gap send_window::drop_sent() {
  auto worst = gap::none;
  while (!marks_.empty() && marks_.front().begin < credited_) {
    auto& m = marks_.front();
    worst = std::max(worst, std::exchange(m.before, gap::none));
    credit_sent_ = m.at;
    if (m.end > credited_)
      break;
    marks_.pop_front();
  }
  return worst;
}

void send_window::credited(const credit& c) {
  auto bytes = std::min(c.bytes, under_way_);  // a peer cannot give back more than there is
  bulk_ -= std::min(c.bulk_bytes, bulk_);
  under_way_ -= bytes;
  credited_ += bytes;
  auto before = credit_sent_;
  auto gaps = drop_sent();
  if (!counting_ || gaps == gap::dry || c.received_us < received_us_)
    sample_ = {};
  else if (!starting_ || gaps == gap::none)
    add_sample(bytes, credit_sent_ - before, microseconds_between(received_us_, c.received_us));
  counting_ = true;
  received_us_ = c.received_us;
  if (starting_ && (round_bytes_ += bytes) >= start_window_) {
    round_bytes_ = 0;
    start_window_ = std::min(4 * start_window_, link_defaults::window_bytes);
  }
}

void send_window::add_sample(std::uint64_t bytes, nanoseconds sending, nanoseconds receiving) {
  auto& s = sample_;
  s.bytes += bytes;
  s.sending += sending;
  s.receiving += receiving;
  if (s.receiving < sample_time)
    return;
  auto rate = static_cast<std::uint64_t>(static_cast<double>(s.bytes) * 1e9 / static_cast<double>(s.receiving.count()));
  measured(rate, s.sending > s.receiving + s.receiving / 4);
  sample_ = {};
}

void send_window::measured(std::uint64_t rate, bool sender_was_slower) {
  if (sender_was_slower && rate <= rate_)
    return;
  rate_ = rate_ == 0 ? rate : (4 * rate_ + rate) / 5;
  starting_ = starting_ && sender_was_slower;
}

void send_window::round_trip(nanoseconds t, time_point now) {
  auto first = base_ == nanoseconds{};
  auto old = now - base_at_ >= base_age;
  if (first || t < base_ || (clean_ping_ && old))
    base_ = t;
  if (first || (clean_ping_ && (old || t <= base_ + base_ / 8)))
    base_at_ = now;
  if (pinged_)
    pausing_ = pinged_ = false;
}

void send_window::connection_lost() {
  under_way_ = bulk_ = sent_ = credited_ = 0;
  marks_.clear();
  counting_ = pausing_ = pinged_ = clean_ping_ = false;
  gap_ = gap::dry;
  sample_ = {};
  start_window_ = link_defaults::window_bytes_unmeasured;
  round_bytes_ = 0;
}

// -- deciding ----------------------------------------------------------------------------------------------------------

std::uint64_t send_window::standing() const noexcept {
  auto most = std::max<std::uint64_t>(limits::slice_bytes, in_time(rate_, link_defaults::standing_time_fast));
  return std::clamp<std::uint64_t>(in_time(rate_, link_defaults::standing_time), link_defaults::standing_bytes_min, most);
}

std::size_t send_window::slice_bytes() const noexcept {
  auto part = starting_ ? start_window_ / 8 : standing() / 4;
  return std::clamp<std::size_t>(part, link_defaults::slice_bytes_min, link_defaults::slice_bytes_max);
}

std::uint64_t send_window::window() const noexcept {
  if (starting_)
    return start_window_;
  return std::min(in_time(rate_, base_) + standing(), link_defaults::window_bytes);
}

priority send_window::open_for(time_point now) {
  if (under_way_ >= link_defaults::window_bytes)
    return priority::control;
  if (pausing_ && now - pause_since_ >= pause_limit) {
    pausing_ = pinged_ = false;
    base_at_ = now;
  }
  if (!pausing_ && bulk_ > 0 && base_ != nanoseconds{} && now - base_at_ >= base_age) {
    pausing_ = true;
    pause_since_ = now;
  }
  paced_until_ = time_point::max();
  if (pausing_ || !fits()) {
    gap_ = std::max(gap_, gap::window);
    return priority::decode;
  }
  return paced(now) ? priority::decode : priority::bulk;
}

/// A bucket of one slice that the pace fills.
bool send_window::paced(time_point now) {
  auto most = static_cast<double>(slice_bytes());
  auto per_ns = link_defaults::pacing_gain * static_cast<double>(std::max<std::uint64_t>(rate_, 1)) * 1e-9;
  auto passed = static_cast<double>((now - pace_at_).count());
  pace_bytes_ = std::min(pace_bytes_ + passed * per_ns, most);
  pace_at_ = now;
  if (starting_ || rate_ > link_defaults::paced_rate_max || base_ < link_defaults::paced_base_min)
    pace_bytes_ = most;
  if (pace_bytes_ > 0)
    return false;
  paced_until_ = now + nanoseconds{1 + static_cast<std::int64_t>(-pace_bytes_ / per_ns)};
  return true;
}

bool send_window::fits() const noexcept {
  return bulk_ == 0 || bulk_ + slice_bytes() + link_defaults::unit_overhead <= window();
}

} // namespace virga
