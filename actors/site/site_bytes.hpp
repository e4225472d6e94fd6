// actors/site/site_bytes.hpp: the one message that passes between nodes of a site: a unit of Cap'n Proto, as codec.hpp writes it.
#pragma once

#include "messages/limits.hpp"
#include "messages/types.hpp"

#include <caf/deserializer.hpp>
#include <caf/error.hpp>
#include <caf/sec.hpp>
#include <caf/serializer.hpp>

#include <string>

namespace virga {

/// Owned bytes, at most limits::frame_bytes and a prefix of them; more come from no node of ours and are refused.
struct site_bytes {
  byte_buffer data;
};

/// The name under which both sides register it: actor_system_config::add_message_type<site_bytes>(site_bytes_name).
inline constexpr const char* site_bytes_name = "virga_bytes";

inline caf::error inspect(caf::serializer& f, site_bytes& b) {
  auto size = static_cast<std::uint32_t>(b.data.size());
  if (auto e = f(size))
    return e;
  return f.apply_raw(b.data.size(), b.data.data());
}

inline caf::error inspect(caf::deserializer& f, site_bytes& b) {
  std::uint32_t size = 0;
  if (auto e = f(size))
    return e;
  if (size > limits::frame_bytes + 64)
    return caf::sec::invalid_argument;
  b.data.resize(size);
  return f.apply_raw(size, b.data.data());
}

inline std::string to_string(const site_bytes& b) { return std::to_string(b.data.size()) + " bytes"; }

} // namespace virga
