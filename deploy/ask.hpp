// deploy/ask.hpp: one question to a gateway's OpenAI API, streamed, with the client's own clock.
#pragma once

#include "messages/types.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace virga::deploy {

/// Takes a server-sent event stream in pieces of any size and calls back with the data of each event.
class event_reader {
public:
  explicit event_reader(std::function<void(std::string_view)> on_data) : on_data_(std::move(on_data)) {}
  /// @throws failed when one line grows beyond 1 MiB
  void push(std::string_view piece);

private:
  std::function<void(std::string_view)> on_data_;
  std::string line_;
};

struct question {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  std::string api_key;
  std::string strategy = "cloud";
  std::vector<chat_message> messages;
  std::uint32_t max_tokens = 256;
  sampling choose;
  std::vector<std::string> stop;
  std::chrono::milliseconds limit{60'000};
};

/// What came back. Times named client_ are measured here, all others are the deployment's `virga` object.
struct reply {
  std::string text;
  std::string finish;
  std::uint64_t tokens = 0;        ///< of the answer; the stop token is not among them
  std::string strategy;
  std::vector<std::string> places; ///< "edge-1: embedding, layers 0-0, head"
  std::uint64_t attempts = 0, round_trips = 0, bytes_up = 0, bytes_down = 0;
  double compute_ms = 0, link_ms = 0, queue_ms = 0, total_ms = 0;
  double cloud_ms = 0, draft_ms = 0, verdict_ms = 0;  ///< of `hat`, as in outcome
  std::vector<draft_round> drafts; ///< of `hat`
  std::uint64_t unverified_tokens = 0;  ///< the last ones, said without the cloud
  double client_ttft_ms = 0;       ///< from sending the request to the first text
  double client_tbt_ms = 0;        ///< mean time between tokens after the first; 0 for one token
  double client_total_ms = 0;
};

/// @param on_text gets the text as it arrives
/// @throws failed with the server's sentence, or why it cannot be reached
reply ask(const question& q, const std::function<void(std::string_view)>& on_text = {});

} // namespace virga::deploy
