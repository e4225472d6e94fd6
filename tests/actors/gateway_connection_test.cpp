#include "actors/gateway/defaults.hpp"
#include "actors/gateway/http_connection.hpp"
#include "tests/support/catch.hpp"

using namespace virga;
using namespace std::chrono_literals;
namespace defaults = gateway_defaults;

namespace {

/// A socket made of strings. Writes are taken at once unless `stuck`.
struct fake_connection : http_connection {
  using http_connection::http_connection;
  std::string written, in_flight;
  bool wants_read = false, stuck = false, pending = false, fin = false, cut = false;
  std::vector<std::function<void()>> later;

  void do_read() override { wants_read = true; }
  void do_write(std::string_view bytes) override { in_flight = bytes, pending = true; }
  void do_end_writing() override { fin = true; }
  void do_close() override { cut = true; }
  void do_later(std::function<void()> f) override { later.push_back(std::move(f)); }

  /// The event loop: lets writes finish and deferred calls run.
  void turn() {
    while (pending && !stuck && !cut) {
      pending = false;
      written += in_flight;
      on_written();
    }
    for (auto& f : std::exchange(later, {}))
      f();
  }

  void receive(const std::string& bytes) {
    REQUIRE(wants_read);
    wants_read = false;
    on_bytes(bytes);
    turn();
  }
};

/// Keeps what it is asked; answers at once when told to.
struct keeping_handler : http_handler {
  std::vector<http_request> requests;
  std::shared_ptr<responder> client;
  bool at_once = true;
  int gone = 0;

  void on_request(http_request r, std::shared_ptr<responder> c) override {
    requests.push_back(std::move(r));
    client = std::move(c);
    client->on_gone([this] { ++gone; });
    if (at_once)
      client->reply({200, "text/plain", {}, "ok"});
  }
  void on_tick(time_point) override {}
  void on_cut(time_point) override {}
};

struct connection_fixture {
  keeping_handler handler;
  std::shared_ptr<fake_connection> c = std::make_shared<fake_connection>(handler, "test");
  connection_fixture() { c->on_open(); }
};

std::string post(const std::string& path, const std::string& body) {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

const std::string get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

int status(const std::string& written) { return std::stoi(written.substr(9, 3)); }

int count(const std::string& text, const std::string& what) {
  int n = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1))
    ++n;
  return n;
}

} // namespace

TEST_CASE_METHOD(connection_fixture, "a request may come byte by byte", "[actors][gateway]") {
  auto bytes = "POST /v1/models/virga%2Fsplit?x=1 HTTP/1.1\r\nAuthorization: Bearer k\r\nX-Request-Id: r\r\n"
               "X-Virga-Deadline-Ms: 5\r\nContent-Length: 3\r\n\r\nabc";
  for (auto p = bytes; *p; ++p)
    c->receive({p, 1});
  REQUIRE(handler.requests.size() == 1);
  auto& r = handler.requests[0];
  CHECK(r.method == "POST");
  CHECK(r.path == "/v1/models/virga/split");
  CHECK(r.body == "abc");
  CHECK(r.authorization == "Bearer k");
  CHECK(r.request_id == "r");
  CHECK(r.deadline_ms == "5");
  CHECK(r.client == "test");
  CHECK(status(c->written) == 200);
  CHECK(c->written.ends_with("\r\n\r\nok"));
}

TEST_CASE_METHOD(connection_fixture, "a connection is used again, also for requests sent ahead", "[actors][gateway]") {
  c->receive(get + post("/b", "x"));
  CHECK(handler.requests.size() == 2);
  CHECK(count(c->written, "HTTP/1.1 200 OK") == 2);
  c->receive(get);
  CHECK(handler.requests.size() == 3);
  CHECK_FALSE(c->cut);
}

TEST_CASE_METHOD(connection_fixture, "requests sent ahead wait for the answer before them, within a bound",
                 "[actors][gateway]") {
  handler.at_once = false;
  c->receive(get);
  for (int i = 0; i < 1000 && c->wants_read; ++i)
    c->receive(get + std::string(1000, ' '));
  CHECK(handler.requests.size() == 1);
  CHECK_FALSE(c->wants_read);
}

TEST_CASE_METHOD(connection_fixture, "Connection: close and HTTP/1.0 end the connection", "[actors][gateway]") {
  auto request = GENERATE(as<std::string>{}, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n");
  c->receive(request);
  CHECK(c->written.find("Connection: close") != std::string::npos);
  CHECK(c->cut);
}

TEST_CASE_METHOD(connection_fixture, "a stream goes out in chunks", "[actors][gateway]") {
  handler.at_once = false;
  c->receive(get);
  handler.client->begin_stream({200, "text/event-stream", {}, ""});
  handler.client->write("hello");
  handler.client->write("");
  handler.client->end_stream();
  c->turn();
  CHECK(c->written.find("Transfer-Encoding: chunked") != std::string::npos);
  CHECK(c->written.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
  c->receive(get);
  CHECK(handler.requests.size() == 2);
}

TEST_CASE_METHOD(connection_fixture, "for HTTP/1.0 a stream ends with the connection", "[actors][gateway]") {
  handler.at_once = false;
  c->receive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  handler.client->begin_stream({});
  handler.client->write("hello");
  handler.client->end_stream();
  c->turn();
  CHECK(c->written.find("chunked") == std::string::npos);
  CHECK(c->written.ends_with("\r\n\r\nhello"));
  CHECK(c->cut);
}

TEST_CASE_METHOD(connection_fixture, "a client that leaves during an answer is reported once", "[actors][gateway]") {
  handler.at_once = false;
  c->receive(get);
  REQUIRE(c->wants_read);
  GENERATE(false, true) ? c->on_end() : c->on_broken();
  CHECK(handler.gone == 0);
  c->turn();
  CHECK(handler.gone == 1);
  CHECK(c->cut);
  handler.client->reply({});
  c->on_broken();
  c->turn();
  CHECK(handler.gone == 1);
  CHECK(c->written.empty());
}

TEST_CASE_METHOD(connection_fixture, "a client that leaves after its answer is not reported", "[actors][gateway]") {
  c->receive(get);
  c->on_end();
  c->turn();
  CHECK(handler.gone == 0);
  CHECK(c->cut);
}

TEST_CASE_METHOD(connection_fixture, "a client that has said its last word still gets the answer written so far",
                 "[actors][gateway]") {
  c->stuck = true;
  c->receive(get);
  c->on_end();
  CHECK_FALSE(c->cut);
  c->stuck = false;
  c->turn();
  CHECK(c->written.ends_with("ok"));
  CHECK(c->cut);
}

TEST_CASE_METHOD(connection_fixture, "a slow reader is cut at the bound and reported", "[actors][gateway]") {
  handler.at_once = false;
  c->receive(get);
  c->stuck = true;
  handler.client->begin_stream({});
  int written = 0;
  for (; !c->cut && written < 100; ++written)
    handler.client->write(std::string(64 * 1024, 'x'));
  CHECK(written == 16);
  CHECK(handler.gone == 0);
  c->turn();
  CHECK(handler.gone == 1);
}

TEST_CASE_METHOD(connection_fixture, "a write that is never taken ends the connection", "[actors][gateway]") {
  handler.at_once = false;
  c->receive(get);
  c->stuck = true;
  handler.client->begin_stream({});
  c->on_tick(steady_clock::now() + defaults::write_time - 1s);
  CHECK_FALSE(c->cut);
  c->on_tick(steady_clock::now() + defaults::write_time);
  c->turn();
  CHECK(c->cut);
  CHECK(handler.gone == 1);
}

TEST_CASE_METHOD(connection_fixture, "what is no HTTP is refused and the connection closed", "[actors][gateway]") {
  auto bytes = GENERATE(as<std::string>{}, "\x16\x03\x01\x02\x00\x01\r\n\r\n", "hello\r\n\r\n", "GET / HTTP/2.0\r\n\r\n",
                        "GET /\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
  c->receive(bytes);
  CHECK(handler.requests.empty());
  CHECK(status(c->written) == 400);
  CHECK(c->written.find("\"error\"") != std::string::npos);
  CHECK(c->fin);
  c->receive("more of it");
  CHECK_FALSE(c->cut);
  c->on_tick(steady_clock::now() + defaults::linger_time);
  CHECK(c->cut);
}

TEST_CASE_METHOD(connection_fixture, "long headers get 431", "[actors][gateway]") {
  c->receive("GET / HTTP/1.1\r\nX: " + std::string(defaults::header_bytes, 'x') + "\r\n\r\n");
  CHECK(status(c->written) == 431);
}

TEST_CASE_METHOD(connection_fixture, "headers just below the bound are taken", "[actors][gateway]") {
  c->receive("GET / HTTP/1.1\r\nX: " + std::string(defaults::header_bytes - 100, 'x') + "\r\n\r\n");
  CHECK(status(c->written) == 200);
}

TEST_CASE_METHOD(connection_fixture, "endless headers get 431", "[actors][gateway]") {
  c->receive("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 2000 && c->written.empty(); ++i)
    c->receive("X-" + std::to_string(i) + ": " + std::string(20, 'x') + "\r\n");
  CHECK(status(c->written) == 431);
}

TEST_CASE_METHOD(connection_fixture, "long bodies get 413, announced or not", "[actors][gateway]") {
  if (GENERATE(false, true)) {
    c->receive("POST / HTTP/1.1\r\nContent-Length: " + std::to_string(defaults::body_bytes + 1) + "\r\n\r\n");
  } else {
    c->receive("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 100 && c->written.empty(); ++i)
      c->receive("8000\r\n" + std::string(0x8000, 'x') + "\r\n");
  }
  CHECK(status(c->written) == 413);
  CHECK(handler.requests.empty());
}

TEST_CASE_METHOD(connection_fixture, "the longest body is taken", "[actors][gateway]") {
  c->receive(post("/", std::string(defaults::body_bytes, 'x')));
  REQUIRE(handler.requests.size() == 1);
  CHECK(handler.requests[0].body.size() == defaults::body_bytes);
}

TEST_CASE_METHOD(connection_fixture, "a client that waits before its body is told to go on", "[actors][gateway]") {
  c->receive("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK(c->written == "HTTP/1.1 100 Continue\r\n\r\n");
  c->receive("a");
  c->receive("b");
  CHECK(handler.requests.size() == 1);
  CHECK(count(c->written, "HTTP/1.1") == 2);
}

TEST_CASE_METHOD(connection_fixture, "half a request gets 408, silence is just closed", "[actors][gateway]") {
  bool half = GENERATE(false, true);
  if (half)
    c->receive("GET / HT");
  c->on_tick(steady_clock::now() + defaults::header_time - 1s);
  CHECK_FALSE(c->cut);
  CHECK(c->written.empty());
  c->on_tick(steady_clock::now() + defaults::header_time);
  c->turn();
  if (half)
    CHECK(status(c->written) == 408);
  else
    CHECK(c->cut);
}

TEST_CASE_METHOD(connection_fixture, "a body has more time than headers, but not for ever", "[actors][gateway]") {
  c->receive("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab");
  c->on_tick(steady_clock::now() + defaults::request_time - 1s);
  CHECK(c->written.empty());
  c->on_tick(steady_clock::now() + defaults::request_time);
  c->turn();
  CHECK(status(c->written) == 408);
}

TEST_CASE_METHOD(connection_fixture, "an idle connection is kept for its time", "[actors][gateway]") {
  c->receive(get);
  c->on_tick(steady_clock::now() + defaults::idle_time - 1s);
  CHECK_FALSE(c->cut);
  c->on_tick(steady_clock::now() + defaults::idle_time);
  CHECK(c->cut);
}

TEST_CASE_METHOD(connection_fixture, "an answer under way has no time-out of the connection", "[actors][gateway]") {
  handler.at_once = false;
  c->receive(get);
  c->on_tick(steady_clock::now() + 1h);
  CHECK_FALSE(c->cut);
}

TEST_CASE_METHOD(connection_fixture, "draining closes what is idle and lets answers end", "[actors][gateway]") {
  handler.at_once = false;
  if (GENERATE(false, true)) {
    c->receive(get);
    c->on_drain();
    CHECK_FALSE(c->cut);
    handler.client->reply({200, "text/plain", {}, "ok"});
    c->turn();
    CHECK(c->written.ends_with("ok"));
    CHECK(c->written.find("Connection: close") != std::string::npos);
  } else {
    c->on_drain();
  }
  CHECK(c->cut);
}
