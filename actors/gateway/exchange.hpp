// actors/gateway/exchange.hpp: one request from its acceptance to its end: takes its sessions' answers, tells the
// client. No sockets, no actors, no clock of its own; lives on the HTTP thread.
#pragma once

#include "actors/calls.hpp"
#include "actors/gateway/http.hpp"
#include "actors/gateway/openai_request.hpp"
#include "actors/gateway/openai_response.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace virga {

/// How an exchange ended, for the log and the metrics.
struct exchange_end {
  int status = 200;             ///< 499: the client went away
  std::string result = "stop";  ///< stop, length, or the name of an ec
  std::uint32_t tokens = 0;
  double total_ms = 0;
  double ttft_ms = 0;
  double tbt_ms = 0;            ///< mean of the choices with more than one token; else 0
  double compute_ms = 0, link_ms = 0, queue_ms = 0;  ///< of the first choice, as its session accounts for them
  std::uint64_t prompt_tokens = 0;
  std::uint32_t retries = 0;    ///< placements beyond each choice's first
  std::vector<place> places;    ///< of the first choice
};

class exchange {
public:
  /// @param sessions one for each of the request's choices, in their order
  /// @param created Unix time in s
  /// @param now when the request had arrived
  exchange(const api_request& r, const std::vector<session_id>& sessions, std::string request_id, std::int64_t created,
           time_point now, std::shared_ptr<responder> client);

  /// Tokens become text, in order and once (repeats are dropped, a gap fails the request). An outcome ends its choice,
  /// a failure of one choice the whole exchange.
  void on_answer(std::size_t index, answer& a, time_point now);

  /// Ends it: as a whole reply before the first token, as an error event after it.
  void fail(const failure& f, time_point now);

  /// Keeps a stream open that has been silent.
  void on_tick(time_point now);

  /// The client has gone: nothing more is sent.
  void on_gone(time_point now);

  bool ended() const { return ended_; }
  /// Between the last two tokens of a choice, told once; nothing when there is nothing new.
  std::optional<double> take_gap_ms() { return std::exchange(gap_ms_, std::nullopt); }
  /// Tokens of all choices so far.
  std::uint64_t received() const;
  const exchange_end& end() const { return end_; }
  const std::string& request_id() const { return request_id_; }
  strategy how() const { return how_; }

private:
  struct choice {
    whole_choice whole;
    std::size_t offset = 0;      ///< characters told, where log-probabilities are
    std::uint32_t received = 0;  ///< tokens
    time_point first_token, last_token;
    bool ended = false;
  };

  void on_tokens(choice& c, tokens& t, time_point now);
  void on_outcome(choice& c, outcome& o, time_point now);
  void begin_stream();
  void tell(choice& c, tokens& t, time_point now);
  void send(std::string events, time_point now);
  void succeed();
  void fail_as(const api_error& e, std::string body);
  void close(time_point now, std::string result);
  void close_choice(choice& c, time_point now);
  usage used_tokens() const;

  answer_head head_;
  strategy how_;
  std::string request_id_;
  bool stream_ = false;
  std::shared_ptr<responder> client_;
  std::vector<choice> choices_;
  exchange_end end_;
  std::optional<double> gap_ms_;
  bool streaming_ = false;
  bool ended_ = false;
  time_point start_, last_sent_;
};

} // namespace virga
