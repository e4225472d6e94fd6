// libFuzzer over what a gateway reads from strangers: a connection gets the input in pieces, and whatever arrives as a request
// is read as each of the bodies that the API takes. The first byte chooses the size of the pieces.
#include "actors/gateway/chaos_request.hpp"
#include "actors/gateway/defaults.hpp"
#include "actors/gateway/http_connection.hpp"
#include "actors/gateway/openai_request.hpp"
#include "messages/codec.hpp"

#include <cstdlib>
#include <utility>
#include <vector>

using namespace virga;

namespace {

/// A socket whose writes are done at once.
struct string_connection : http_connection {
  using http_connection::http_connection;
  std::string written, in_flight;
  std::vector<std::function<void()>> later;
  bool wants_read = false, pending = false, cut = false;

  void do_read() override { wants_read = true; }
  void do_write(std::string_view bytes) override { in_flight = bytes, pending = true; }
  void do_end_writing() override {}
  void do_close() override { cut = true; }
  void do_later(std::function<void()> f) override { later.push_back(std::move(f)); }

  void turn() {
    while (!cut && (pending || !later.empty())) {
      if (std::exchange(pending, false)) {
        written += in_flight;
        on_written();
      }
      for (auto& f : std::exchange(later, {}))
        f();
    }
  }
};

/// What is accepted must fit the wire's limits: it is what a session host is sent.
void check(const std::variant<api_request, api_error>& parsed) {
  const auto* r = std::get_if<api_request>(&parsed);
  if (!r)
    return;
  generate g;
  g.prompt = r->prompt;
  g.messages = r->messages;
  g.stop = r->stop;
  g.choose = r->choose;
  g.max_tokens = r->max_tokens;
  if (!encode({{}, 1, priority::control, std::move(g)}, time_point{std::chrono::hours{1}}))
    std::abort();
  if (r->choices == 0 || r->choices > gateway_defaults::choices)
    std::abort();
}

struct parsing_handler : http_handler {
  void on_request(http_request r, std::shared_ptr<responder> client) override {
    if (r.body.size() > gateway_defaults::body_bytes)
      std::abort();
    check(parse_chat(r.body));
    check(parse_completion(r.body));
    parse_chaos(r.body);
    parse_deadline_ms(r.deadline_ms);
    client->reply({200, "text/plain", {}, "ok"});
  }
  void on_tick(time_point) override {}
  void on_cut(time_point) override {}
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::size_t piece = data[0] == 0 ? size : data[0];
  std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  parsing_handler handler;
  const auto connection = std::make_shared<string_connection>(handler, "127.0.0.1:1");
  connection->on_open();
  connection->turn();
  while (!input.empty() && connection->wants_read && !connection->cut) {
    connection->wants_read = false;
    connection->on_bytes(input.substr(0, piece));
    input.remove_prefix(std::min(piece, input.size()));
    connection->turn();
  }
  connection->on_end();
  connection->turn();
  if (!connection->written.empty() && connection->written.rfind("HTTP/1.1 ", 0) != 0)
    std::abort();
  connection->close();
  return 0;
}
