// actors/gateway/request_reader.hpp: from bytes to HTTP requests, with the bounds of defaults.hpp. Wraps Beast's parser.
#pragma once

#include "actors/gateway/api_error.hpp"
#include "actors/gateway/http.hpp"

#include <memory>
#include <string>

namespace virga {

class request_reader {
public:
  enum class state { need_more, complete, wrong };

  request_reader();
  ~request_reader();

  /// Takes what it can use from the front of `bytes`; what follows a complete request stays there.
  state read(std::string& bytes);

  /// Whether a request has begun, whether its headers are complete, and whether the client waits for "100 Continue"
  /// before it sends the body.
  bool has_begun() const;
  bool has_headers() const;
  bool wants_continue() const;

  /// After `complete`: the request, and how its answer may end. The reader is then ready for the next one.
  struct request {
    http_request what;
    bool keep_alive = true;
    bool chunked = true;  ///< the client understands chunks
  };
  request take();

  /// After `wrong`: what to answer before closing.
  const api_error& error() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace virga
