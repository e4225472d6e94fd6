// actors/gateway/exchange.hpp: one request from its acceptance to its end: takes the session's answers, tells the client.
// No sockets, no actors, no clock of its own; lives on the HTTP thread.
#pragma once

#include "actors/calls.hpp"
#include "actors/gateway/http.hpp"
#include "actors/gateway/openai_request.hpp"
#include "actors/gateway/openai_response.hpp"

#include <memory>
#include <string>

namespace virga {

/// How an exchange ended, for the log.
struct exchange_end {
  int status = 200;             ///< 499: the client went away
  std::string result = "stop";  ///< stop, length, or the name of an ec
  std::uint32_t tokens = 0;
  double total_ms = 0;
  double ttft_ms = 0;
};

class exchange {
public:
  /// @param created Unix time in s
  /// @param now when the request had arrived
  exchange(const api_request& r, session_id session, std::string request_id, std::int64_t created, time_point now,
           std::shared_ptr<responder> client);

  /// Tokens become text, in order and once (repeats are dropped, a gap fails the request); an outcome or a failure
  /// ends it. @returns true when that was the end
  bool on_answer(answer& a, time_point now);

  /// Ends it: as a whole reply before the first token, as an error event after it.
  void fail(const failure& f, time_point now);

  /// Keeps a stream open that has been silent.
  void on_tick(time_point now);

  /// The client has gone: nothing more is sent.
  void on_gone(time_point now);

  const exchange_end& end() const { return end_; }
  const std::string& request_id() const { return report_.request_id; }
  strategy how() const { return report_.result.how; }

private:
  bool on_tokens(const tokens& t, time_point now);
  void on_outcome(outcome& o, time_point now);
  void begin_stream();
  void send(std::string events, time_point now);
  void succeed();
  void fail_as(const api_error& e, std::string body);
  void close(time_point now, std::string result);
  double ms_since_start(time_point t) const;

  answer_head head_;
  bool stream_ = false;
  std::shared_ptr<responder> client_;
  virga_report report_;
  exchange_end end_;
  std::string text_;  ///< of an answer that is not streamed
  bool streaming_ = false;
  std::uint32_t received_ = 0;  ///< tokens
  time_point start_, first_token_, last_token_, last_sent_;
};

} // namespace virga
