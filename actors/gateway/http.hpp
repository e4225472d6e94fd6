// actors/gateway/http.hpp: requests and replies as plain values, and the two sides that exchange them. No sockets here.
#pragma once

#include "messages/types.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace virga {

/// What the gateway looks at in a request.
struct http_request {
  std::string method;         ///< "GET", "POST", ...
  std::string path;           ///< percent-decoded, without the query
  std::string body;
  std::string authorization;  ///< these three are headers; empty where absent
  std::string request_id;
  std::string deadline_ms;
  std::string client;         ///< "127.0.0.1:51234", for the log
};

struct http_reply {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;  ///< beyond Content-Type, Content-Length and Connection
  std::string body;
};

/// The way back to the client of one request: either one reply(), or begin_stream(), write()... and end_stream().
/// Calls after the end, or after the client has gone, do nothing. Only used on the HTTP thread.
class responder {
public:
  virtual ~responder() = default;
  virtual void reply(http_reply r) = 0;
  /// Sends `head`'s status and headers; its body is not used.
  virtual void begin_stream(http_reply head) = 0;
  /// Bounded: a client that reads too slowly is cut, which is then reported as `gone`.
  virtual void write(std::string piece) = 0;
  virtual void end_stream() = 0;
  /// Called at most once, when the client has gone before the end; never from inside one of the calls above.
  virtual void on_gone(std::function<void()> gone) = 0;
};

/// Who answers. All calls come on the HTTP thread.
class http_handler {
public:
  virtual ~http_handler() = default;
  virtual void on_request(http_request request, std::shared_ptr<responder> client) = 0;
  virtual void on_tick(time_point now) = 0;
  /// The server ends and waits no longer: answer everything that is open, now.
  virtual void on_cut(time_point now) = 0;
};

} // namespace virga
