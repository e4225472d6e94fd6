#include "actors/gateway/api_error.hpp"

#include "actors/gateway/defaults.hpp"
#include "actors/gateway/json_text.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace virga {

namespace json = boost::json;

namespace {

/// 499 is never sent: it is what nginx logs for a client that went away.
int status_of(ec code) {
  switch (code) {
    case ec::deadline_exceeded: return 504;
    case ec::cancelled: return 499;
    case ec::queue_full: return 429;
    case ec::peer_unreachable:
    case ec::out_of_pages:
    case ec::shutting_down: return 503;
    case ec::bad_request:
    case ec::context_exceeded:
    case ec::unsupported: return 400;
    default: return 500;
  }
}

std::string_view type_of(int status) {
  if (status == 429)
    return "rate_limit_error";
  if (status == 401)
    return "authentication_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

/// Seconds, rounded up, that the failure asks to wait; only queue_full knows better than the default.
std::uint32_t retry_after(const failure& f) {
  if (f.code != ec::queue_full)
    return gateway_defaults::retry_after_s;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(f.detail / 1000 + (f.detail % 1000 != 0), 1, 60));
}

json::value text_or_null(const std::string& s) {
  return s.empty() ? json::value(nullptr) : json::value(to_utf8(s));
}

} // namespace

api_error bad_field(std::string field, std::string message) {
  return {400, std::move(message), std::move(field), std::string(to_string(ec::bad_request)), 0};
}

api_error to_api_error(const failure& f) {
  api_error e;
  e.status = status_of(f.code);
  e.code = to_string(f.code);
  e.message = f.text.empty() ? "the request failed: " + e.code : f.text;
  if (e.status == 429 || e.status == 503)
    e.retry_after_s = retry_after(f);
  return e;
}

std::string error_json(const api_error& e) {
  json::object error{{"message", to_utf8(e.message)},
                     {"type", type_of(e.status)},
                     {"param", text_or_null(e.param)},
                     {"code", text_or_null(e.code)}};
  return json_text(json::object{{"error", std::move(error)}});
}

http_reply to_reply(const api_error& e) {
  http_reply r;
  r.status = e.status;
  r.body = error_json(e);
  if (e.retry_after_s != 0)
    r.headers.emplace_back("Retry-After", std::to_string(e.retry_after_s));
  if (e.status == 401)
    r.headers.emplace_back("WWW-Authenticate", "Bearer");
  return r;
}

} // namespace virga
