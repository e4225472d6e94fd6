// libFuzzer over the receiving side of a connection, past the checksums: the input is a list of bodies, each behind a
// u16 of its words. Everything that is taken must be within every limit, so it must be possible to write it again.
#include "messages/codec.hpp"
#include "messages/crc32c.hpp"

#include <cstdlib>
#include <cstring>

using namespace virga;

static constexpr auto now = time_point{std::chrono::hours{1}};

static bool within_limits(const std::optional<received>& message) {
  return !message || message->refused || static_cast<bool>(encode(message->value, now));
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assembler whole;
  while (size >= 2) {
    std::uint16_t words;
    std::memcpy(&words, data, sizeof words);
    auto bytes = std::min<std::size_t>(std::size_t{words} * 8, (size - 2) / 8 * 8);
    byte_buffer body(bytes);
    if (bytes > 0)
      std::memcpy(body.data(), data + 2, bytes);
    auto part = decode_slice(body, crc32c(body), now);
    if (!part)
      return 0;
    auto message = whole.add(std::move(*part), bytes, now);
    if (!message)
      return 0;
    if (!within_limits(*message))
      std::abort();
    data += 2 + bytes;
    size -= 2 + bytes;
  }
  return 0;
}
