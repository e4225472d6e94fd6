#include "actors/roles/draft_pace.hpp"

#include <algorithm>

namespace virga {

namespace {

/// Going ahead pays while so many guesses come true, and while the cloud is mostly idle when a round arrives.
constexpr double enough_true = 0.3, mostly = 0.5;

/// A device on which a step takes so many times what it can take has other things to do than to guess.
constexpr double crowded = 3;

/// What a step can take is slowly forgotten: a device may become slower for good.
constexpr double forget = 1.001;

/// Of a slow device's chunk: what the cloud runs in one step.
constexpr double most_chunk_rows = 512;

double seconds(std::uint64_t microseconds) { return static_cast<double>(microseconds) * 1e-6; }

double transfer(double bytes, std::uint64_t bytes_per_s) {
  return bytes_per_s > 0 ? bytes / static_cast<double>(bytes_per_s) : 0;
}

} // namespace

draft_pace::draft_pace(draft_config how, std::uint64_t row_bytes)
  : how_(how), row_bytes_(static_cast<double>(row_bytes)), length_(how.most),
    chunk_rows_(how.chunk_rows > 0 ? how.chunk_rows : first_chunk_rows) {}

void draft_pace::on_draft_step(double seconds) {
  step_s_.add(seconds);
  fastest_s_ = fastest_s_ > 0 ? std::min(fastest_s_ * forget, seconds) : seconds;
}

void draft_pace::on_input_step(double seconds) { input_s_.add(seconds); }

void draft_pace::on_round(std::uint32_t rows, std::uint32_t batch_rows, const work_times& cloud) {
  others_.add(batch_rows > rows ? batch_rows - rows : 0);
  cloud_.add(std::max(rows, batch_rows), seconds(cloud.queue_us + cloud.compute_us));
  busy_.add(cloud.queue_us > cloud.compute_us ? 1 : 0);
}

void draft_pace::on_verdict(const draft_round& round) {
  length_.add(round.drafted, round.accepted);
  guessed_.add(round.source == draft_source::bonus_guess ? 1 : 0);
}

void draft_pace::on_link(const traffic& link) {
  link_.rtt_us = link.rtt_us > 0 ? link.rtt_us : link_.rtt_us;
  link_.up_bytes_per_s = link.up_bytes_per_s > 0 ? link.up_bytes_per_s : link_.up_bytes_per_s;
  link_.down_bytes_per_s = link.down_bytes_per_s > 0 ? link.down_bytes_per_s : link_.down_bytes_per_s;
}

void draft_pace::on_suggestion(std::uint32_t chunk_rows) {
  if (how_.chunk_rows == 0 && chunk_rows > 0)
    chunk_rows_ = chunk_rows;
}

/// Seconds in which so many rows leave the device, and as many the cloud.
double draft_pace::transfers(std::uint32_t rows) const {
  auto bytes = rows * row_bytes_;
  return transfer(bytes, link_.up_bytes_per_s) + transfer(bytes, link_.down_bytes_per_s);
}

double draft_pace::round_trip(std::uint32_t rows) const {
  return seconds(link_.rtt_us) + transfers(rows) + cloud_.predict(rows + static_cast<std::uint32_t>(others_.value_or(0)));
}

/// A round that goes ahead and comes true saves what the link does not carry meanwhile; one that does not keeps the link from
/// carrying the next one.
bool draft_pace::pays_ahead(std::uint32_t rows) const {
  const auto comes_true = guessed_.value_or(1), carried = transfers(rows);
  return comes_true >= enough_true && busy_.value_or(0) < mostly
         && comes_true * (round_trip(rows) - carried) >= (1 - comes_true) * carried;
}

bool draft_pace::due(std::uint32_t rows, double since) const {
  return !cloud_.empty() && since + step_s_.value_or(0) > round_trip(rows);
}

/// A chunk of fewer rows takes the device longer than the uplink, which then waits.
std::uint32_t draft_pace::least_chunk() const {
  auto rows = input_s_.value_or(0) * static_cast<double>(link_.up_bytes_per_s) / row_bytes_;
  return static_cast<std::uint32_t>(std::min<double>(rows, most_chunk_rows));
}

device_session::plan draft_pace::plan() const {
  device_session::plan out{how_.most, 0, how_.chunk_rows > 0 ? chunk_rows_ : std::max(chunk_rows_, least_chunk())};
  if (how_.most == 0)
    return out;
  auto step = step_s_.value_or(0);
  if (how_.adapt && !cloud_.empty()) {
    const auto unhidden = 1 - guessed_.value_or(0);  // a guess that came true was drafted while waiting
    const auto last = unhidden * input_s_.value_or(0);  // every round's last token goes through the input stages alone
    out.most = length_.best(step * unhidden, [&](std::uint32_t k) { return last + round_trip(k + 1); });
  }
  auto wait = round_trip(out.most + 1);
  out.hidden_steps = step > 0 ? static_cast<std::uint32_t>(std::min(wait / step, static_cast<double>(how_.most) + 1)) : 0;
  if (step > crowded * fastest_s_)
    out.hidden_steps = 0;
  out.ahead = how_.ahead && pays_ahead(out.most + 1);
  return out;
}

} // namespace virga
