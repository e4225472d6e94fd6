#include "deploy/http_client.hpp"

#include "deploy/failures.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <array>

namespace virga::deploy {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::size_t max_body_bytes = 16 * 1024 * 1024;  // more is no answer of ours

class exchange {
public:
  exchange(const http_request& request, std::chrono::milliseconds limit) : request_(request), stream_(io_) {
    stream_.expires_after(limit);
  }

  http_reply run(const std::function<void(std::string_view)>& on_piece) {
    connect();
    send();
    return receive(on_piece);
  }

private:
  /// Starts one operation, runs it to its end, throws what went wrong.
  template <class Start>
  void wait_for(const char* doing, Start start) {
    beast::error_code result;
    start([&](beast::error_code error, auto&&...) { result = error; });
    io_.restart();
    io_.run();
    if (result && result != http::error::need_buffer)
      throw failed("http://" + request_.host + ":" + std::to_string(request_.port) + request_.path + ": " + doing
                   + (result == beast::error::timeout ? " took too long" : " failed: " + result.message()));
  }

  void connect() {
    asio::ip::tcp::resolver resolver(io_);
    beast::error_code error;
    auto found = resolver.resolve(request_.host, std::to_string(request_.port), error);
    if (error)
      throw failed("host " + request_.host + " cannot be found: " + error.message());
    wait_for("connecting", [&](auto done) { stream_.async_connect(found, done); });
    stream_.socket().set_option(asio::ip::tcp::no_delay(true));
  }

  void send() {
    http::request<http::string_body> r(request_.body.empty() ? http::verb::get : http::verb::post, request_.path, 11);
    r.set(http::field::host, request_.host);
    r.set(http::field::connection, "close");
    if (!request_.api_key.empty())
      r.set(http::field::authorization, "Bearer " + request_.api_key);
    if (!request_.request_id.empty())
      r.set("X-Request-Id", request_.request_id);
    if (!request_.body.empty())
      r.set(http::field::content_type, "application/json");
    r.body() = request_.body;
    r.prepare_payload();
    wait_for("sending", [&](auto done) { http::async_write(stream_, r, done); });
  }

  http_reply receive(const std::function<void(std::string_view)>& on_piece) {
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(max_body_bytes);
    beast::flat_buffer buffer;
    wait_for("reading", [&](auto done) { http::async_read_header(stream_, buffer, parser, done); });
    http_reply reply{parser.get().result_int(), ""};
    std::array<char, 8192> piece;
    while (!parser.is_done()) {
      auto& body = parser.get().body();
      body.data = piece.data();
      body.size = piece.size();
      wait_for("reading", [&](auto done) { http::async_read_some(stream_, buffer, parser, done); });
      std::string_view text(piece.data(), piece.size() - body.size);
      if (on_piece && reply.status == 200)
        on_piece(text);
      else
        reply.body += text;
    }
    return reply;
  }

  const http_request& request_;
  asio::io_context io_{1};
  beast::tcp_stream stream_;
};

} // namespace

http_reply http_call(const http_request& request, std::chrono::milliseconds limit,
                     const std::function<void(std::string_view)>& on_piece) {
  return exchange(request, limit).run(on_piece);
}

} // namespace virga::deploy
