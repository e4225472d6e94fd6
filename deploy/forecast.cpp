#include "deploy/forecast.hpp"

#include "messages/codec.hpp"
#include "messages/type_ids.hpp"

#include <algorithm>
#include <stdexcept>

namespace virga::deploy {

namespace {

std::uint64_t wire_bytes(payload body) {
  auto units = encode({{}, 1, priority::decode, std::move(body)}, time_point{});
  if (!units)
    throw std::runtime_error("this request cannot cross a link: " + text_of(units.error()));
  std::uint64_t sum = 0;
  for (const auto& u : *units)
    sum += u.size();
  return sum;
}

tensor rows_of(const request_size& size, std::uint32_t count) {
  return {size.wire, count, size.hidden, byte_buffer(std::size_t{count} * size.hidden * size_of(size.wire))};
}

/// The prompt crosses as text, the answer token by token.
crossing cloud_crossing(const request_size& size) {
  generate ask;
  ask.request_id = std::string(32, 'x');
  ask.messages = {{"user", size.prompt}};
  const tokens one{0, {1}, " word"};
  return {wire_bytes(ask), 0, 0, wire_bytes(one), false};
}

/// Hidden rows cross: the prompt's in chunks, then one for each token, and each time one row comes back.
crossing split_crossing(const request_size& size) {
  open_session open;
  open.model_digest = std::string(64, '0');
  open.request_id = std::string(32, 'x');
  const auto row = rows_of(size, 1);
  crossing c{wire_bytes(open), wire_bytes(opened{}), wire_bytes(verify{0, rows_wanted::last, row}),
             wire_bytes(verified{0, row, {}}), true};
  for (auto left = size.prompt_tokens; left > 0;) {
    const auto rows = std::min(left, size.chunk_rows);
    c.prompt_up += wire_bytes(verify{0, rows_wanted::last, rows_of(size, rows)});
    left -= rows;
    if (left > 0)
      c.prompt_down += wire_bytes(verified{});
  }
  return c;
}

constexpr std::uint64_t record_bytes = 22;  // that TLS 1.3 adds to a message of less than 16 KiB

double transfer_ms(std::uint64_t bytes, double mbit) {
  return mbit == 0 || bytes == 0 ? 0 : static_cast<double>(bytes + record_bytes) * 8 / 1000 / mbit;
}

/// How much later than the first of `count` pieces, one each `every_ms`, the last one comes because of jitter: it waits for the
/// latest of those before it. The chance that all are there x after it was sent is the product of each one's.
double late_by_jitter(double jitter_ms, double every_ms, std::uint32_t count) {
  constexpr int steps = 200;
  double mean = 0;
  for (int i = 0; i < steps && jitter_ms > 0; ++i) {
    const auto x = (i + 0.5) / steps * jitter_ms;
    double all_there = 1;
    for (std::uint32_t before = 0; before < count; ++before)
      all_there *= std::min(1.0, (x + before * every_ms) / jitter_ms);
    mean += (1 - all_there) * jitter_ms / steps;
  }
  return mean - jitter_ms / 2;
}

} // namespace

crossing crossing_of(strategy how, const request_size& size) {
  switch (how) {
    case strategy::cloud: return cloud_crossing(size);
    case strategy::split: return split_crossing(size);
    default: return {};
  }
}

forecast forecast_of(strategy how, const pace& at_rest, const crossing& bytes, const link_quality& added,
                     const request_size& size) {
  forecast f{at_rest.first_ms + at_rest.prompt_token_ms * size.prompt_tokens, at_rest.token_ms};
  if (how == strategy::edge)
    return f;
  const auto there_and_back = added.rtt_ms + added.jitter_ms;
  f.ttft_ms += there_and_back + transfer_ms(bytes.prompt_up, added.up_mbit)
               + transfer_ms(bytes.prompt_down + bytes.token_down, added.down_mbit);
  const auto up = transfer_ms(bytes.token_up, added.up_mbit), down = transfer_ms(bytes.token_down, added.down_mbit);
  if (bytes.waits) {
    f.tbt_ms += there_and_back + up + down;
    return f;
  }
  f.tbt_ms = std::max(f.tbt_ms, down);
  const auto gaps = std::max(size.answer_tokens, 2u) - 1;
  f.tbt_ms += late_by_jitter(added.jitter_ms, f.tbt_ms, gaps + 1) / gaps;
  return f;
}

} // namespace virga::deploy
