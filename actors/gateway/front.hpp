// actors/gateway/front.hpp: what the gateway does with requests: routes, keys, admission, the table of those being
// answered. No sockets and no actors: it gets events and calls its ports. Lives on the HTTP thread.
#pragma once

#include "actors/gateway/chaos_request.hpp"
#include "actors/gateway/exchange.hpp"
#include "actors/gateway/http.hpp"
#include "actors/gateway/key_ring.hpp"
#include "actors/gateway/metrics.hpp"
#include "actors/gateway/status_json.hpp"
#include "actors/node/config.hpp"

#include <functional>
#include <map>
#include <memory>

namespace virga {

/// The way out. Answers come back through front::on_answer.
struct front_ports {
  std::function<void(header, generate)> ask;
  std::function<void(header)> cancel;
  std::function<session_id()> make_id;  ///< 128 random bits
  link_reshaper reshape{};  ///< of an admin address; calls back on the HTTP thread
};

class front : public http_handler {
public:
  /// @param config keys, limits, whether /v1 is served
  front(const gateway_config& config, front_ports ports);

  void on_request(http_request request, std::shared_ptr<responder> client) override;
  void on_tick(time_point now) override;
  void on_cut(time_point now) override;

  /// From a session. Answers for requests already over are dropped and counted.
  void on_answer(answer& a, time_point now);
  /// From the node: what is served now.
  void on_status(node_status s) { status_ = std::move(s); }
  /// The node has not answered for some time.
  void on_silent_node();
  /// The gateway ends: new requests are refused with ec::shutting_down.
  void drain() { draining_ = true; }

private:
  struct open_request {
    std::unique_ptr<exchange> talk;
    std::vector<header> sessions;  ///< one for each choice
  };
  /// By the session of their first choice.
  using requests = std::map<session_id, open_request>;
  struct choice_of {
    requests::iterator request;
    std::size_t index = 0;
  };

  // -- routes
  void route(const http_request& r, const std::shared_ptr<responder>& client);
  bool route_admin(const http_request& r, responder& client);
  bool route_models(const http_request& r, responder& client);
  void reshape(const http_request& r, const std::shared_ptr<responder>& client);
  void answer_reshaped(std::uint64_t number, const std::string& peer, std::optional<link_shape> now);
  void answer_ready(const http_request& r, responder& client) const;

  // -- requests
  void begin(const http_request& r, bool chat, const std::shared_ptr<responder>& client);
  std::variant<api_request, api_error> accept(const http_request& r, bool chat);
  std::optional<api_error> refusal(const api_request& r);
  api_error not_served(strategy s) const;
  void start(const api_request& r, const http_request& from, std::shared_ptr<responder> client);
  std::vector<header> make_headers(const api_request& r, time_point now) const;
  void ask(const api_request& r, const open_request& which, const std::string& request_id);
  void finish(requests::iterator i);
  void client_gone(session_id session);
  std::string served_list() const;

  gateway_config config_;
  key_ring keys_;
  front_ports ports_;
  node_status status_;
  gateway_counts counts_;
  std::deque<recent_request> recent_;  ///< newest first, at most gateway_defaults::recent_requests
  metrics metrics_;
  bool draining_ = false;
  std::int64_t created_;
  requests answering_;
  struct reshaping {
    http_request request;
    std::shared_ptr<responder> client;
  };
  std::map<std::uint64_t, reshaping> reshaping_;  ///< those that wait for the network's thread
  std::uint64_t reshapings_ = 0;
  std::map<session_id, choice_of> sessions_;  ///< those that have not ended
};

/// Answers with the error and the request's id.
void refuse(responder& client, const http_request& r, const api_error& e);

} // namespace virga
