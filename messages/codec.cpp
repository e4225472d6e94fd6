#include "messages/codec.hpp"

namespace virga {

caf::expected<std::optional<received>> frame_decoder::next(time_point now) {
  if (broken_)
    return broken_;
  for (;;) {
    auto body = reader_.next();
    if (!body)
      return fail(std::move(body.error()));
    if (!*body)
      return std::optional<received>{};
    auto message = take(**body, now);
    if (!message)
      return fail(std::move(message.error()));
    if (*message) {
      ++((*message)->refused ? counters_.refused : counters_.frames);
      return message;
    }
  }
}

caf::expected<std::optional<received>> frame_decoder::take(std::span<const std::byte> body, time_point now) {
  auto part = decode_slice(body, reader_.checksum(), now);
  if (!part)
    return std::move(part.error());
  auto wire_bytes = wire_prefix_bytes + body.size();
  ++counters_.units;
  counters_.bytes[static_cast<std::size_t>(part->part.urgency)] += wire_bytes;
  return assembler_.add(std::move(*part), wire_bytes, now);
}

caf::error frame_decoder::fail(caf::error e) {
  counters_.broken = 1;
  return broken_ = std::move(e);
}

} // namespace virga
