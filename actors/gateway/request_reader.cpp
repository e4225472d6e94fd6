#include "actors/gateway/request_reader.hpp"

#include "actors/gateway/defaults.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <optional>

namespace virga {

namespace http = boost::beast::http;

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// The path of a request's target with %XX decoded; a % that begins no code stays.
std::string path_of(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  std::string path;
  for (std::size_t i = 0; i < target.size(); ++i) {
    bool code = target[i] == '%' && i + 2 < target.size() && hex_digit(target[i + 1]) >= 0
                && hex_digit(target[i + 2]) >= 0;
    if (code) {
      path += static_cast<char>(hex_digit(target[i + 1]) * 16 + hex_digit(target[i + 2]));
      i += 2;
    } else {
      path += target[i];
    }
  }
  return path;
}

api_error error_of(const boost::system::error_code& e) {
  if (e == http::error::body_limit)
    return {413, "the body is longer than " + std::to_string(gateway_defaults::body_bytes) + " bytes", "",
            "body_too_large", 0};
  if (e == http::error::header_limit)
    return {431, "the headers are longer than " + std::to_string(gateway_defaults::header_bytes) + " bytes", "",
            "headers_too_large", 0};
  return {400, "this is no valid HTTP/1 request: " + e.message(), "", "bad_http", 0};
}

} // namespace

struct request_reader::impl {
  std::optional<http::request_parser<http::string_body>> parser;
  api_error error;

  impl() { reset(); }

  void reset() {
    parser.emplace();
    parser->header_limit(gateway_defaults::header_bytes);
    parser->body_limit(gateway_defaults::body_bytes);
  }

  std::string header(boost::beast::string_view name) const { return std::string(parser->get()[name]); }
};

request_reader::request_reader() : impl_(std::make_unique<impl>()) {}
request_reader::~request_reader() = default;

request_reader::state request_reader::read(std::string& bytes) {
  auto& parser = *impl_->parser;
  while (!bytes.empty() && !parser.is_done()) {
    boost::system::error_code e;
    auto used = parser.put(boost::asio::buffer(bytes), e);
    bytes.erase(0, used);
    if (e == http::error::need_more)
      break;
    if (e) {
      impl_->error = error_of(e);
      return state::wrong;
    }
  }
  return parser.is_done() ? state::complete : state::need_more;
}

bool request_reader::has_begun() const { return impl_->parser->got_some(); }
bool request_reader::has_headers() const { return impl_->parser->is_header_done(); }

bool request_reader::wants_continue() const {
  return has_headers() && !impl_->parser->is_done()
         && boost::beast::iequals(impl_->parser->get()[http::field::expect], "100-continue");
}

request_reader::request request_reader::take() {
  auto& message = impl_->parser->get();
  request r;
  r.keep_alive = message.keep_alive();
  r.chunked = message.version() >= 11;
  r.what.method = std::string(message.method_string());
  r.what.path = path_of({message.target().data(), message.target().size()});
  r.what.authorization = impl_->header("Authorization");
  r.what.request_id = impl_->header("X-Request-Id");
  r.what.deadline_ms = impl_->header("X-Virga-Deadline-Ms");
  r.what.body = std::move(message.body());
  impl_->reset();
  return r;
}

const api_error& request_reader::error() const { return impl_->error; }

} // namespace virga
