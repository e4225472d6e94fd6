// The routes of front.hpp.
#include "actors/gateway/defaults.hpp"
#include "actors/gateway/front.hpp"

#include <algorithm>

namespace virga {

namespace {

/// Graphic ASCII only, so that an id is one word of a log line and one line of a header.
bool usable_id(const std::string& id) {
  return !id.empty() && id.size() <= gateway_defaults::request_id_chars
         && std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

void answer_json(responder& client, const http_request& r, std::string body, int status = 200) {
  client.reply({status, "application/json", {{"X-Request-Id", r.request_id}}, std::move(body)});
}

api_error wrong_method(const http_request& r, const char* right) {
  return {405, r.path + " takes " + right + ", not " + r.method, "", "method_not_allowed", 0};
}

api_error nothing_at(const http_request& r) {
  return {404, "there is nothing at " + r.path.substr(0, 100), "", "not_found", 0};
}

} // namespace

void front::on_request(http_request request, std::shared_ptr<responder> client) {
  if (!usable_id(request.request_id))
    request.request_id = to_string(ports_.make_id());
  route(request, client);
}

void front::route(const http_request& r, const std::shared_ptr<responder>& client) {
  if (r.path.starts_with("/health/") && route_admin(r, *client))
    return;
  if (!keys_.admits(r.authorization))
    return refuse(*client, r, {401, "the API key is missing or wrong; send Authorization: Bearer KEY", "",
                               "invalid_api_key", 0});
  if (route_admin(r, *client))
    return;
  bool chat = r.path == "/v1/chat/completions";
  if (!config_.api && r.path.starts_with("/v1/"))
    return refuse(*client, r, {404, "this address serves /health and /status only, not /v1", "", "not_found", 0});
  if (chat || r.path == "/v1/completions")
    return r.method == "POST" ? begin(r, chat, client) : refuse(*client, r, wrong_method(r, "POST"));
  if (route_models(r, *client))
    return;
  refuse(*client, r, nothing_at(r));
}

bool front::route_admin(const http_request& r, responder& client) {
  if (r.path != "/health/live" && r.path != "/health/ready" && r.path != "/status" && r.path != "/metrics")
    return false;
  if (r.method != "GET")
    refuse(client, r, wrong_method(r, "GET"));
  else if (r.path == "/health/live")
    answer_json(client, r, "{\"live\":true}");
  else if (r.path == "/health/ready")
    answer_ready(r, client);
  else if (r.path == "/metrics")
    client.reply({200, "text/plain; version=0.0.4; charset=utf-8", {{"X-Request-Id", r.request_id}},
                  metrics_.text(status_, counts_)});
  else
    answer_json(client, r, status_json(status_, counts_));
  return true;
}

void front::answer_ready(const http_request& r, responder& client) const {
  auto s = status_;
  if (draining_ || s.draining) {
    s.ready = false;
    s.reason = "this node is shutting down";
  }
  answer_json(client, r, ready_json(s), s.ready ? 200 : 503);
}

bool front::route_models(const http_request& r, responder& client) {
  constexpr std::string_view one = "/v1/models/";
  if (r.path != "/v1/models" && !r.path.starts_with(one))
    return false;
  if (r.method != "GET") {
    refuse(client, r, wrong_method(r, "GET"));
  } else if (r.path == "/v1/models") {
    answer_json(client, r, models_json(status_.strategies, created_));
  } else {
    auto how = strategy_of(std::string_view(r.path).substr(one.size()));
    auto& served = status_.strategies;
    if (how && std::find(served.begin(), served.end(), *how) != served.end())
      answer_json(client, r, model_json(*how, created_));
    else
      refuse(client, r, {404, "there is no such model; " + served_list(), "model", "model_not_found", 0});
  }
  return true;
}

} // namespace virga
