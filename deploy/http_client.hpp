// deploy/http_client.hpp: one HTTP request at a time, as status, chat and demo need it. Plain HTTP: gateways are reached on
// loopback, or through the user's own TLS proxy.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace virga::deploy {

struct http_request {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string path = "/";
  std::string body;     ///< JSON; not empty: POST, else GET
  std::string api_key;  ///< empty: none
  std::string request_id;  ///< X-Request-Id; empty: none
};

struct http_reply {
  unsigned status = 0;
  std::string body;
};

/// @param on_piece gets the body of a 200 as it arrives, instead of http_reply::body; it may throw
/// @param limit of the whole exchange
/// @throws failed naming the address when the exchange fails or takes longer
http_reply http_call(const http_request& request, std::chrono::milliseconds limit,
                     const std::function<void(std::string_view)>& on_piece = {});

} // namespace virga::deploy
