// The routes of front.hpp.
#include "actors/gateway/defaults.hpp"
#include "actors/gateway/front.hpp"
#include "actors/gateway/page.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

namespace virga {

namespace {

/// Graphic ASCII only, so that an id is one word of a log line and one line of a header.
bool usable_id(const std::string& id) {
  return !id.empty() && id.size() <= gateway_defaults::request_id_chars
         && std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

void answer_as(responder& client, const http_request& r, std::string type, std::string body, int status = 200) {
  client.reply({status, std::move(type), {{"X-Request-Id", r.request_id}}, std::move(body)});
}

void answer_json(responder& client, const http_request& r, std::string body, int status = 200) {
  answer_as(client, r, "application/json", std::move(body), status);
}

/// It has no data: what it shows it asks for, with the key of whoever looks.
void answer_page(const http_request& r, responder& client) {
  http_reply page;
  page.content_type = "text/html; charset=utf-8";
  page.headers = {{"X-Request-Id", r.request_id},
                  {"Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
                                              "connect-src 'self'; frame-ancestors 'none'"}};
  page.body = status_page();
  client.reply(std::move(page));
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
  if (r.path == "/")
    return r.method == "GET" ? answer_page(r, *client) : refuse(*client, r, wrong_method(r, "GET"));
  if (!keys_.admits(r.authorization))
    return refuse(*client, r, {401, "the API key is missing or wrong; send Authorization: Bearer KEY", "",
                               "invalid_api_key", 0});
  if (route_admin(r, *client))
    return;
  if (r.path == "/chaos" && ports_.reshape)
    return r.method == "POST" ? reshape(r, client) : refuse(*client, r, wrong_method(r, "POST"));
  bool chat = r.path == "/v1/chat/completions";
  if (!config_.api && r.path.starts_with("/v1/"))
    return refuse(*client, r, {404, "this address serves /health, /status and /metrics, not /v1", "", "not_found", 0});
  if (chat || r.path == "/v1/completions")
    return r.method == "POST" ? begin(r, chat, client) : refuse(*client, r, wrong_method(r, "POST"));
  if (route_models(r, *client))
    return;
  refuse(*client, r, nothing_at(r));
}

bool front::route_admin(const http_request& r, responder& client) {
  constexpr std::array paths{"/health/live", "/health/ready", "/status", "/metrics", "/requests"};
  if (std::ranges::find(paths, r.path) == paths.end())
    return false;
  if (r.method != "GET")
    refuse(client, r, wrong_method(r, "GET"));
  else if (r.path == "/health/live")
    answer_json(client, r, "{\"live\":true}");
  else if (r.path == "/health/ready")
    answer_ready(r, client);
  else if (r.path == "/metrics")
    answer_as(client, r, "text/plain; version=0.0.4; charset=utf-8", metrics_.text(status_, counts_));
  else
    answer_json(client, r, r.path == "/status" ? status_json(status_, counts_) : requests_json(recent_));
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

void front::reshape(const http_request& r, const std::shared_ptr<responder>& client) {
  auto parsed = parse_chaos(r.body);
  if (auto e = std::get_if<api_error>(&parsed))
    return refuse(*client, r, *e);
  auto& asked = std::get<chaos_request>(parsed);
  spdlog::warn("chaos request_id={} link={}: {}", r.request_id, asked.peer, r.body.substr(0, 200));
  auto number = ++reshapings_;
  reshaping_.emplace(number, reshaping{r, client});
  client->on_gone([this, number] { reshaping_.erase(number); });
  ports_.reshape(asked.peer, asked.what,
                 [this, number, peer = asked.peer](auto now) { answer_reshaped(number, peer, now); });
}

void front::answer_reshaped(std::uint64_t number, const std::string& peer, std::optional<link_shape> now) {
  auto i = reshaping_.find(number);
  if (i == reshaping_.end())
    return;
  auto& [request, client] = i->second;
  if (now)
    answer_json(*client, request, shape_json(*now));
  else
    refuse(*client, request, {404, "no shaper stands before " + peer.substr(0, 100)
                                     + ": give its link `shaper: on` in the manifest of the node that dials", "peer",
                              "no_shaper", 0});
  reshaping_.erase(i);
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
