// The writing half of the codec: limits, slices, prefix and checksum. The body itself is write_body's.
#include "messages/checks.hpp"
#include "messages/codec.hpp"
#include "messages/crc32c.hpp"
#include "messages/type_ids.hpp"
#include "messages/write_body.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace virga {

namespace {

constexpr std::size_t smallest_slice = 1024;
constexpr std::size_t fixed_bytes = 512; // the frame and the largest payload without its lists, texts and data
constexpr std::size_t word_bytes = 8;
constexpr std::size_t copied_bytes = 8 * 1024; // up to here a copy is cheaper than a second call of the pipe

// -- room: an upper bound of the body's bytes, so that it can be written in place -------------------------------------

std::size_t padded(std::size_t bytes) { return (bytes + 7) / 8 * 8; }
std::size_t room_of(const std::string& text) { return padded(text.size() + 1); }
std::size_t room_of(const std::vector<role_status>& roles) { return 8 + 16 * roles.size(); }

std::size_t room_of(const hello& x) {
  return room_of(x.site) + room_of(x.node) + room_of(x.model_digest) + room_of(x.roles);
}
std::size_t room_of(const status& x) { return room_of(x.roles); }
std::size_t room_of(const generate& x) {
  auto bytes = room_of(x.request_id) + room_of(x.prompt) + 16 + 16 * x.choose.logit_bias.size()
               + padded(x.answered.size() * sizeof(token_id));
  for (auto& m : x.messages)
    bytes += 16 + room_of(m.role) + room_of(m.content);
  for (auto& s : x.stop)
    bytes += 8 + room_of(s);
  return bytes;
}
std::size_t room_of(const open_session& x) { return room_of(x.model_digest) + room_of(x.request_id); }
std::size_t room_of(const tokens& x) {
  auto bytes = padded(x.ids.size() * sizeof(token_id)) + room_of(x.text) + 16;
  auto scored = [](const scored_token& t) { return 24 + padded(t.text.size()); };
  for (auto& l : x.logprobs) {
    bytes += 16 + 8 + scored(l.chosen);
    for (auto& t : l.top)
      bytes += scored(t);
  }
  return bytes;
}
std::size_t room_of(const failure& x) { return room_of(x.text); }

std::size_t room_of(const outcome& x) {
  auto bytes = room_of(x.error_text) + 16 + 8 * x.drafts.size();
  for (auto& p : x.places)
    bytes += 16 + room_of(p.node) + room_of(p.stages);
  return bytes;
}

std::size_t room_of(const sketch& x) {
  std::size_t bytes = 8;
  for (auto& p : x.points)
    bytes += 16 + room_of(p.text);
  return bytes;
}

std::size_t room_of(const padding& x) { return padded(std::min<std::size_t>(x.bytes, limits::slice_bytes)); }
std::size_t room_of(const auto&) { return 0; } // fixed size, but for tensors: their piece is added where it is known

// -- units ------------------------------------------------------------------------------------------------------------

bool stays(std::span<const std::byte> data) {
  auto at = reinterpret_cast<std::uintptr_t>(data.data());
  return data.size() > copied_bytes && data.size() % word_bytes == 0 && at % word_bytes == 0;
}

wire_unit write_unit(const frame& f, std::uint32_t deadline_ms, std::span<const std::byte> data) {
  tensor_piece piece{data, crc32c(data), stays(data)};
  auto apart = piece.apart ? data : std::span<const std::byte>{};
  auto room = fixed_bytes + padded(data.size() - apart.size()) + std::visit([](auto& x) { return room_of(x); }, f.body);
  wire_unit unit{byte_buffer(wire_prefix_bytes + room), apart};
  auto used = write_body(std::span{unit.head}.subspan(wire_prefix_bytes), f, deadline_ms, piece);
  check_size(used + apart.size(), limits::frame_bytes, "a frame");
  unit.head.resize(wire_prefix_bytes + used);
  auto crc = crc32c(std::span{unit.head}.subspan(wire_prefix_bytes));
  if (piece.apart)
    crc = crc32c_joined(crc, piece.crc, apart.size());
  const std::uint32_t prefix[2] = {static_cast<std::uint32_t>(used + apart.size()), crc};
  std::memcpy(unit.head.data(), prefix, wire_prefix_bytes);
  return unit;
}

std::uint32_t remaining_ms(time_point deadline, time_point now) {
  if (deadline <= now)
    return 0;
  // Unsigned, since a deadline of time_point::max() must not overflow.
  auto ticks = static_cast<std::uint64_t>(deadline.time_since_epoch().count())
               - static_cast<std::uint64_t>(now.time_since_epoch().count());
  constexpr std::uint64_t ticks_per_ms = steady_clock::duration{std::chrono::milliseconds{1}}.count();
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(ticks / ticks_per_ms, limits::deadline_ms));
}

void check_tensor(const tensor& t) {
  auto bytes = matrix_bytes(t.type, t.rows, t.cols);
  if (bytes != t.data.size())
    throw rule_broken(ec::bad_tensor, "a tensor of " + std::to_string(t.rows) + " x " + std::to_string(t.cols) + " "
                                        + std::string{to_string(t.type)} + " needs " + std::to_string(bytes)
                                        + " bytes and has " + std::to_string(t.data.size()));
}

wire_unit next_unit(const frame& f, std::size_t& offset, time_point now, std::size_t slice_bytes) {
  auto t = tensor_of(f.body);
  if (t != nullptr && offset == 0)
    check_tensor(*t);
  auto data = t != nullptr ? std::span{t->data} : std::span<const std::byte>{};
  auto most = std::clamp(slice_bytes, smallest_slice, limits::slice_bytes) / word_bytes * word_bytes;
  auto size = std::min(most, data.size() - offset);
  auto unit = write_unit(f, remaining_ms(f.hdr.deadline, now), data.subspan(offset, size));
  offset += size;
  return unit;
}

} // namespace

caf::expected<wire_unit> encode_unit(const frame& f, std::size_t& offset, time_point now, std::size_t slice_bytes) {
  try {
    return next_unit(f, offset, now, slice_bytes);
  } catch (const rule_broken& e) {
    return make_error(e.code, e.what());
  } catch (const std::exception& e) {
    return make_error(ec::internal, e.what());
  }
}

caf::expected<std::vector<byte_buffer>> encode(const frame& f, time_point now, std::size_t slice_bytes) {
  std::vector<byte_buffer> units;
  std::size_t offset = 0;
  do {
    auto unit = encode_unit(f, offset, now, slice_bytes);
    if (!unit)
      return std::move(unit.error());
    auto& whole = units.emplace_back(std::move(unit->head));
    whole.insert(whole.end(), unit->data.begin(), unit->data.end());
  } while (offset < tensor_bytes(f.body));
  return units;
}

} // namespace virga
