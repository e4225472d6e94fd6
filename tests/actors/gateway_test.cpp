// The gateway as its clients see it: real sockets on loopback, a real actor system, sessions and node made up.
#include "actors/gateway/defaults.hpp"
#include "actors/gateway/gateway.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/http_client.hpp"

#include <boost/json.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

using namespace virga;
using namespace std::chrono_literals;
namespace json = boost::json;
using test::http_client;

namespace {

// -- the other side ----------------------------------------------------------------------------------------------------

/// What the sessions were told; tests wait for it.
class record {
public:
  void asked(const generate& g) { add(asked_, g.request_id); }
  void cancelled(session_id id) { add(cancelled_, to_string(id)); }
  bool wait_asked(std::size_t n) { return wait(asked_, n); }
  bool wait_cancelled(std::size_t n) { return wait(cancelled_, n); }
  std::string first_asked() {
    std::lock_guard guard(lock_);
    return asked_.at(0);
  }

private:
  void add(std::vector<std::string>& list, std::string item) {
    std::lock_guard guard(lock_);
    list.push_back(std::move(item));
    changed_.notify_all();
  }
  bool wait(std::vector<std::string>& list, std::size_t n) {
    std::unique_lock guard(lock_);
    return changed_.wait_for(guard, 10s, [&] { return list.size() >= n; });
  }

  std::mutex lock_;
  std::condition_variable changed_;
  std::vector<std::string> asked_, cancelled_;
};

using fake_host = stub_of<session_host>;

struct fake_host_state {
  explicit fake_host_state(fake_host::pointer me) : self(me) {}

  /// The prompt is the script: "say N" N short tokens, "flood" 12 MiB of tokens, "begin" one token and no end, "hang"
  /// nothing, "fail" a failure.
  void run(call<generate>& c) {
    seen->asked(c.body);
    auto& script = c.body.messages.empty() ? c.body.prompt : c.body.messages.back().content;
    if (script == "fail")
      return tell(c, failure{ec::context_exceeded, 64, "the prompt is too long"}, true);
    std::uint64_t n = script == "begin" ? 1 : script.starts_with("say ") ? std::stoul(script.substr(4)) : 0;
    for (std::uint64_t i = 0; i < n; ++i)
      tell(c, tokens{i, {1}, "w" + std::to_string(i) + " "}, false);
    for (std::uint64_t i = 0; script == "flood" && i < 192; ++i)
      tell(c, tokens{i, {1}, std::string(64 * 1024, 'x')}, false);
    if (script.starts_with("say "))
      tell(c, done(c.body, n), true);
  }

  static outcome done(const generate& g, std::uint64_t n) {
    outcome o;
    o.how = g.how;
    o.finish = finish_reason::stop;
    o.prompt_tokens = 2;
    o.completion_tokens = static_cast<std::uint32_t>(n);
    o.places = {{"edge-1", "all"}};
    return o;
  }

  void tell(const call<generate>& c, answer_body body, bool last) {
    self->send(c.reply, answer{c.hdr, std::move(body), last, {}});
  }

  fake_host::pointer self;
  std::shared_ptr<record> seen;
};

fake_host::behavior_type make_fake_host(fake_host::stateful_pointer<fake_host_state> self, std::shared_ptr<record> seen) {
  auto& st = self->state;
  st.seen = std::move(seen);
  return {[&st](call<generate>& c) { st.run(c); },
          [&st](call<cancel>& c) { st.seen->cancelled(c.hdr.session); },
          [](answer&) {},
          [](target_atom, std::uint32_t, const session_host&, std::uint64_t) {},
          [](lost_atom, std::uint32_t, const std::string&) {},
          [](tick_atom) {}};
}

node::behavior_type make_fake_node(node::pointer, node_status status) {
  return {[](peer_atom, const peer_state&) {},
          [status](stats_atom) { return status; },
          [](drain_atom) {},
          [](tick_atom) {}};
}

// -- the gateway under test --------------------------------------------------------------------------------------------

struct gateway_fixture {
  caf::actor_system_config sys_config;
  caf::actor_system sys{configured(sys_config)};
  std::shared_ptr<record> seen = std::make_shared<record>();
  std::string port_path =
    (std::filesystem::temp_directory_path() / ("virga-gateway-" + std::to_string(::getpid()))).string();
  fake_host host = sys.spawn(make_fake_host, seen);
  node home;
  gateway_config config;
  caf::actor it;

  gateway_fixture() {
    node_status status;
    status.kind = "edge";
    status.ready = true;
    status.strategies = {strategy::edge};
    home = sys.spawn(make_fake_node, status);
    config.api = true;
    config.port_file = port_path;
  }

  ~gateway_fixture() {
    stop();
    caf::anon_send_exit(host, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(home, caf::exit_reason::user_shutdown);
  }

  static caf::actor_system_config& configured(caf::actor_system_config& c) {
    c.set("scheduler.policy", caf::atom("sharing"));
    c.set("scheduler.max-threads", std::size_t{2});
    return c;
  }

  void start() {
    it = start_gateway(sys, config, node_stubs{host}, home);
    for (int i = 0; i < 200; ++i, std::this_thread::sleep_for(10ms))  // until the node has said what it serves
      if (ask("/health/ready").status == 200)
        return;
    FAIL("the gateway does not become ready");
  }

  void stop() {
    if (!it)
      return;
    caf::scoped_actor me(sys);
    me->send_exit(it, caf::exit_reason::user_shutdown);
    me->wait_for(it);
    it = nullptr;
  }

  std::uint16_t port() {
    std::ifstream in(port_path);
    std::uint16_t p = 0;
    REQUIRE(in >> p);
    return p;
  }

  test::http_answer ask(const std::string& path) {
    http_client c(port());
    c.get(path);
    return c.answer();
  }
};

std::string chat(const std::string& script, const std::string& more = {}) {
  return R"({"model": "virga/edge", "messages": [{"role": "user", "content": ")" + script + "\"}]" + more + "}";
}

const std::string chat_path = "/v1/chat/completions";
const std::string streamed = R"(, "stream": true)";

/// Every answer of a connection that is about to be refused must still be readable.
int refused(std::uint16_t port, const std::string& bytes) {
  http_client c(port);
  c.send(bytes);
  auto status = c.answer().status;
  CHECK(c.ended());
  return status;
}

} // namespace

TEST_CASE_METHOD(gateway_fixture, "a chat is answered over one connection, again and again", "[actors][gateway]") {
  start();
  http_client c(port());
  for (int i = 0; i < 3; ++i) {
    c.post(chat_path, chat("say 3"), "X-Request-Id: my-id\r\n");
    auto a = c.answer();
    CHECK(a.status == 200);
    CHECK(http_client::header(a.head, "X-Request-Id") == "my-id");
    auto v = json::parse(a.body);
    CHECK(v.at("choices").at(0).at("message").at("content") == "w0 w1 w2 ");
    CHECK(v.at("virga").at("request_id") == "my-id");
    CHECK(v.at("virga").at("places").at(0).at("node") == "edge-1");
  }
  CHECK(seen->first_asked() == "my-id");
}

TEST_CASE_METHOD(gateway_fixture, "a stream arrives event by event", "[actors][gateway]") {
  start();
  http_client c(port());
  c.post(chat_path, chat("say 200", streamed));
  auto a = c.answer();
  CHECK(a.status == 200);
  CHECK(http_client::header(a.head, "Content-Type") == "text/event-stream");
  std::string text;
  std::size_t at = 0, end = 0;
  for (; (end = a.body.find("\n\n", at)) != a.body.npos; at = end + 2) {
    auto event = a.body.substr(at + 6, end - at - 6);
    if (event == "[DONE]")
      break;
    auto delta = json::parse(event).at("choices").at(0).at("delta").as_object();
    if (auto piece = delta.if_contains("content"))
      text += piece->as_string();
  }
  CHECK(end + 2 == a.body.size());
  CHECK(text.starts_with("w0 w1 "));
  CHECK(text.ends_with("w198 w199 "));
  c.post("/v1/completions", R"({"model": "edge", "prompt": "say 1"})");
  CHECK(json::parse(c.answer().body).at("choices").at(0).at("text") == "w0 ");
}

TEST_CASE_METHOD(gateway_fixture, "errors have a status and a body in OpenAI's form", "[actors][gateway]") {
  start();
  auto [path, body, status] = GENERATE(table<std::string, std::string, int>({
    {chat_path, chat("fail"), 400},
    {chat_path, chat("fail", streamed), 400},
    {chat_path, "{", 400},
    {chat_path, chat("say 1", R"(, "n": 0)"), 400},
    {chat_path, R"({"model": "virga/split", "messages": [{"role": "user", "content": "x"}]})", 404},
    {"/v1/nothing", "{}", 404},
    {"/v1/models", "{}", 405},
  }));
  http_client c(port());
  c.post(path, body);
  auto a = c.answer();
  CHECK(a.status == status);
  CHECK(json::parse(a.body).at("error").at("message").is_string());
  c.get("/health/live");  // the connection goes on
  CHECK(c.answer().status == 200);
}

TEST_CASE_METHOD(gateway_fixture, "a client that leaves cancels its session, streamed or not", "[actors][gateway]") {
  start();
  bool stream = GENERATE(false, true);
  http_client c(port());
  c.post(chat_path, chat("begin", stream ? streamed : ""));
  if (stream)
    c.read_until("w0 ");
  REQUIRE(seen->wait_asked(1));
  c.close();
  CHECK(seen->wait_cancelled(1));
}

TEST_CASE_METHOD(gateway_fixture, "a client that does not read is cut and its session cancelled", "[actors][gateway]") {
  start();
  http_client c(port(), 4096);
  c.post(chat_path, chat("flood", streamed));
  CHECK(seen->wait_cancelled(1));
  CHECK(c.ended());
}

TEST_CASE_METHOD(gateway_fixture, "a deadline passes even when the session says nothing", "[actors][gateway]") {
  start();
  http_client c(port());
  c.post(chat_path, chat("hang"), "X-Virga-Deadline-Ms: 100\r\n");
  auto a = c.answer();
  CHECK(a.status == 504);
  CHECK(json::parse(a.body).at("error").at("code") == "deadline_exceeded");
  CHECK(seen->wait_cancelled(1));
}

TEST_CASE_METHOD(gateway_fixture, "more than max_requests get 429 with Retry-After at once", "[actors][gateway]") {
  config.max_requests = 1;
  start();
  http_client first(port()), second(port());
  first.post(chat_path, chat("hang"));
  REQUIRE(seen->wait_asked(1));
  second.post(chat_path, chat("say 1"));
  auto a = second.answer();
  CHECK(a.status == 429);
  CHECK(http_client::header(a.head, "Retry-After") == "1");
  first.close();
  REQUIRE(seen->wait_cancelled(1));
  second.post(chat_path, chat("say 1"));
  CHECK(second.answer().status == 200);
}

TEST_CASE_METHOD(gateway_fixture, "more connections than may be are told so and closed", "[actors][gateway]") {
  start();
  std::vector<std::unique_ptr<http_client>> open;
  auto p = port();
  for (std::size_t i = 0; i < gateway_defaults::connections; ++i)
    open.push_back(std::make_unique<http_client>(p));
  open.front()->get("/health/live");
  CHECK(open.front()->answer().status == 200);
  http_client more(p);
  CHECK(more.answer().status == 429);
  CHECK(more.ended());
  open.clear();
  for (int i = 0; i < 100; ++i, std::this_thread::sleep_for(10ms))
    if (ask("/health/live").status == 200)
      return;
  FAIL("no connection is taken again");
}

TEST_CASE_METHOD(gateway_fixture, "bytes that break HTTP or a bound are refused and readable so", "[actors][gateway]") {
  start();
  auto p = port();
  CHECK(refused(p, "\x16\x03\x01 tls?\r\n\r\n") == 400);
  CHECK(refused(p, "GET / HTTP/1.1\r\nX: " + std::string(64 * 1024, 'x')) == 431);
  CHECK(refused(p, "POST " + chat_path + " HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n" + std::string(4'000'000, 'x'))
        == 413);
  CHECK(ask("/health/live").status == 200);
}

TEST_CASE_METHOD(gateway_fixture, "keys guard the API and the status", "[actors][gateway]") {
  config.api_keys = {"sesame"};
  start();
  CHECK(ask("/v1/models").status == 401);
  CHECK(ask("/status").status == 401);
  http_client c(port());
  c.post(chat_path, chat("say 1"), "Authorization: Bearer sesame\r\n");
  CHECK(c.answer().status == 200);
}

TEST_CASE_METHOD(gateway_fixture, "off loopback a gateway without keys does not start", "[actors][gateway]") {
  config.host = "0.0.0.0";
  CHECK_THROWS_WITH(start_gateway(sys, config, node_stubs{host}, home),
                    Catch::Contains("0.0.0.0") && Catch::Contains("api_keys"));
  CHECK_FALSE(std::filesystem::exists(port_path));
  config.api_keys = {"sesame"};
  start();
}

TEST_CASE_METHOD(gateway_fixture, "a port in use is one sentence", "[actors][gateway]") {
  start();
  auto second = config;
  second.port = port();
  second.port_file.clear();
  CHECK_THROWS_WITH(start_gateway(sys, second, node_stubs{host}, home),
                    Catch::Contains("127.0.0.1:" + std::to_string(second.port)) && Catch::Contains("in use"));
}

TEST_CASE_METHOD(gateway_fixture, "a host that is unknown is one sentence", "[actors][gateway]") {
  config.host = "no.such.host.invalid";
  CHECK_THROWS_WITH(start_gateway(sys, config, node_stubs{host}, home), Catch::Contains("no.such.host.invalid"));
}

TEST_CASE_METHOD(gateway_fixture, "the end waits for answers, cuts what is too slow, and frees the port",
                 "[actors][gateway]") {
  start();
  auto p = port();
  http_client hanging(p), streaming(p), idle(p);
  hanging.post(chat_path, chat("hang"));
  streaming.post(chat_path, chat("begin", streamed));
  streaming.read_until("w0 ");
  REQUIRE(seen->wait_asked(2));
  auto begin = steady_clock::now();
  stop();
  auto time = steady_clock::now() - begin;
  CHECK(time >= gateway_defaults::drain_time - 100ms);
  CHECK(time < gateway_defaults::drain_time + 2s);
  CHECK(hanging.answer().status == 503);
  CHECK_NOTHROW(streaming.read_until("shutting_down"));
  CHECK(idle.ended());
  CHECK(seen->wait_cancelled(2));
  CHECK_FALSE(std::filesystem::exists(port_path));
  config.port = p;
  start();
  CHECK(port() == p);
}

TEST_CASE_METHOD(gateway_fixture, "an idle gateway ends at once", "[actors][gateway]") {
  start();
  http_client idle(port());
  auto begin = steady_clock::now();
  stop();
  CHECK(steady_clock::now() - begin < 1s);
}

TEST_CASE_METHOD(gateway_fixture, "a killed gateway leaves nothing behind", "[actors][gateway]") {
  start();
  http_client c(port());
  c.post(chat_path, chat("begin", streamed));
  c.read_until("w0 ");
  caf::scoped_actor me(sys);
  me->send_exit(it, caf::exit_reason::kill);
  me->wait_for(it);
  it = nullptr;
  CHECK(c.ended());
  CHECK_FALSE(std::filesystem::exists(port_path));
}

TEST_CASE_METHOD(gateway_fixture, "a gateway whose node is gone ends", "[actors][gateway]") {
  start();
  caf::anon_send_exit(home, caf::exit_reason::kill);
  caf::scoped_actor me(sys);
  me->wait_for(it);
  it = nullptr;
}

TEST_CASE_METHOD(gateway_fixture, "many clients at once each get their own answer", "[actors][gateway]") {
  start();
  auto p = port();
  std::vector<std::unique_ptr<http_client>> clients;
  for (int i = 0; i < 48; ++i) {
    clients.push_back(std::make_unique<http_client>(p));
    clients.back()->post(chat_path, chat("say " + std::to_string(i + 1), i % 2 ? streamed : ""));
  }
  for (int i = 0; i < 48; ++i) {
    auto a = clients[i]->answer();
    CHECK(a.status == 200);
    auto last = "w" + std::to_string(i) + " ";
    auto beyond = "w" + std::to_string(i + 1) + " ";
    CHECK(a.body.find(last) != std::string::npos);
    CHECK(a.body.find(beyond) == std::string::npos);
  }
}
