// actors/gateway/http_server.hpp: the listening socket, its connections, and the one thread on which all of HTTP happens.
#pragma once

#include "actors/gateway/http.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace virga {

class http_server {
public:
  /// Binds and listens; connections wait until start().
  /// @param port 0: any free port
  /// @throws std::runtime_error with a sentence that names host and port
  http_server(const std::string& host, std::uint16_t port);

  ~http_server();

  std::uint16_t port() const;
  /// Only this machine can connect.
  bool is_loopback() const;

  /// Starts the thread. `handler` is called on it, and only there, until stop().
  void start(http_handler& handler);

  /// Ends at once: joins the thread and cuts what is open. Responders must be gone before the server is.
  void stop();

  /// Runs `f` on the HTTP thread. From any thread.
  void post(std::function<void()> f);

  /// Takes no new connection or request. Calls `done` on the HTTP thread once all answers are written, at the latest
  /// after drain_time and cut_time. From any thread.
  void drain(std::function<void()> done);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace virga
