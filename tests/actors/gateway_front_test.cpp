#include "actors/gateway/defaults.hpp"
#include "actors/gateway/front.hpp"
#include "tests/support/catch.hpp"

#include <boost/json.hpp>

using namespace virga;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

/// A client that keeps what it gets.
struct client : responder {
  http_reply got;
  std::string stream;
  bool replied = false, streaming = false, ended = false;
  std::function<void()> gone;

  void reply(http_reply r) override { got = std::move(r), replied = ended = true; }
  void begin_stream(http_reply head) override { got = std::move(head), streaming = true; }
  void write(std::string piece) override { stream += piece; }
  void end_stream() override { ended = true; }
  void on_gone(std::function<void()> f) override { gone = std::move(f); }

  json::value body() const { return json::parse(got.body); }
  std::string error_code() const { return std::string(body().at("error").at("code").as_string()); }
  std::string header(const std::string& name) const {
    for (auto& [key, value] : got.headers)
      if (key == name)
        return value;
    return {};
  }
};

struct asked {
  header hdr;
  generate what;
};

/// A front whose sessions are the test.
struct front_fixture {
  gateway_config config;
  std::vector<asked> requests;
  std::vector<header> cancelled;
  std::unique_ptr<front> f;
  node_status status;
  std::uint64_t ids = 0;

  front_fixture() {
    config.api = true;
    config.max_requests = 2;
    status.kind = "edge";
    status.ready = true;
    status.strategies = {strategy::cloud, strategy::edge, strategy::split};
    make();
  }

  void make() {
    front_ports p;
    p.make_id = [this] { return session_id{7, ++ids}; };
    p.ask = [this](header h, generate g) { requests.push_back({h, std::move(g)}); };
    p.cancel = [this](header h) { cancelled.push_back(h); };
    f = std::make_unique<front>(config, std::move(p));
    f->on_status(status);
  }

  std::shared_ptr<client> send(std::string method, std::string path, std::string body = {}, std::string key = {}) {
    auto c = std::make_shared<client>();
    f->on_request({std::move(method), std::move(path), std::move(body), std::move(key), "req-1", "", "test"}, c);
    return c;
  }

  std::shared_ptr<client> get(std::string path) { return send("GET", std::move(path)); }

  std::shared_ptr<client> chat(const std::string& model, const std::string& more = {}) {
    return send("POST", "/v1/chat/completions",
                R"({"model": ")" + model + R"(", "messages": [{"role": "user", "content": "hi"}])" + more + "}");
  }

  void answer_with(answer_body body, bool last, traffic wire = {}, std::size_t request = 0) {
    answer a{requests.at(request).hdr, std::move(body), last, wire};
    f->on_answer(a, steady_clock::now());
  }

  void token_of(std::size_t request, std::uint64_t position, std::string text) {
    answer_with(tokens{position, {5}, std::move(text)}, false, {}, request);
  }

  void finish_of(std::size_t request, std::uint32_t count) {
    outcome o;
    o.finish = finish_reason::length;
    o.prompt_tokens = 4;
    o.completion_tokens = count;
    answer_with(std::move(o), true, {}, request);
  }

  void token(std::uint64_t position, std::string text) { answer_with(tokens{position, {5}, std::move(text)}, false); }

  void finish(std::uint32_t count) {
    outcome o;
    o.how = requests.at(0).what.how;
    o.finish = finish_reason::stop;
    o.completion_tokens = count;
    answer_with(std::move(o), true);
  }
};

} // namespace

TEST_CASE_METHOD(front_fixture, "a request becomes a session and its answer one reply", "[actors][gateway]") {
  auto c = chat("virga/split", R"(, "max_tokens": 9, "seed": 4, "temperature": 1)");
  REQUIRE(requests.size() == 1);
  auto& r = requests[0];
  CHECK(r.hdr.target == role::session_host);
  CHECK(r.hdr.session != session_id{});
  CHECK(r.hdr.deadline > steady_clock::now() + 55s);
  CHECK(r.what.how == strategy::split);
  CHECK(r.what.request_id == "req-1");
  CHECK(r.what.prompt.empty());
  REQUIRE(r.what.messages.size() == 1);
  CHECK(r.what.messages[0].role == "user");
  CHECK(r.what.messages[0].content == "hi");
  CHECK(r.what.max_tokens == 9);
  CHECK(r.what.choose.temperature == 1);
  CHECK(r.what.choose.seed == 4);
  token(0, "Hel");
  token(1, "lo");
  CHECK_FALSE(c->replied);
  finish(2);
  REQUIRE(c->replied);
  CHECK(c->got.status == 200);
  CHECK(c->header("X-Request-Id") == "req-1");
  CHECK(c->body().at("choices").at(0).at("message").at("content") == "Hello");
  CHECK(c->body().at("usage").at("completion_tokens") == 2);
  CHECK(c->body().at("virga").at("session") == json::value(to_string(r.hdr.session)));
  CHECK(cancelled.empty());
}

TEST_CASE_METHOD(front_fixture, "a stream begins with the first token", "[actors][gateway]") {
  auto c = chat("edge", R"(, "stream": true)");
  CHECK_FALSE(c->streaming);
  token(0, "Hel");
  CHECK(c->streaming);
  CHECK(c->got.content_type == "text/event-stream");
  CHECK(c->header("X-Request-Id") == "req-1");
  CHECK(c->stream.find("\"Hel\"") != std::string::npos);
  finish(1);
  CHECK(c->ended);
  CHECK(c->stream.ends_with("data: [DONE]\n\n"));
}

TEST_CASE_METHOD(front_fixture, "a stream without tokens still has its beginning and its end", "[actors][gateway]") {
  auto c = chat("edge", R"(, "stream": true)");
  finish(0);
  CHECK(c->streaming);
  CHECK(c->stream.find("\"role\":\"assistant\"") != std::string::npos);
  CHECK(c->stream.ends_with("data: [DONE]\n\n"));
}

TEST_CASE_METHOD(front_fixture, "a failure before the first token is a status, after it an event", "[actors][gateway]") {
  auto c = chat("edge", R"(, "stream": true)");
  bool late = GENERATE(false, true);
  if (late)
    token(0, "Hel");
  answer_with(failure{ec::model_error, 0, "the shard threw"}, true);
  CHECK(c->ended);
  if (late) {
    CHECK(c->stream.find("data: {\"error\":{\"message\":\"the shard threw\"") != std::string::npos);
    CHECK(c->stream.find("[DONE]") == std::string::npos);
  } else {
    CHECK(c->got.status == 500);
    CHECK(c->error_code() == "model_error");
    CHECK(c->header("X-Request-Id") == "req-1");
  }
}

TEST_CASE_METHOD(front_fixture, "an outcome with an error still tells where the time went", "[actors][gateway]") {
  auto c = chat("split");
  outcome o;
  o.how = strategy::split;
  o.error = ec::deadline_exceeded;
  o.error_text = "too late";
  o.attempts = 3;
  answer_with(o, true);
  CHECK(c->got.status == 504);
  CHECK(c->body().at("error").at("message") == "too late");
  CHECK(c->body().at("virga").at("attempts") == 3);
}

TEST_CASE_METHOD(front_fixture, "repeated tokens are dropped and lost ones fail the request", "[actors][gateway]") {
  auto c = chat("edge");
  token(0, "a");
  token(0, "a");
  token(1, "b");
  bool gap = GENERATE(false, true);
  if (gap) {
    token(3, "d");
    CHECK(c->error_code() == "internal");
    CHECK(cancelled.size() == 1);
    return;
  }
  finish(2);
  CHECK(c->body().at("choices").at(0).at("message").at("content") == "ab");
}

TEST_CASE_METHOD(front_fixture, "requests beyond the limit get 429 until one ends", "[actors][gateway]") {
  auto first = chat("edge");
  auto second = chat("edge");
  auto third = chat("edge");
  CHECK(third->got.status == 429);
  CHECK(third->error_code() == "queue_full");
  CHECK(third->header("Retry-After") == "1");
  CHECK(requests.size() == 2);
  finish(0);
  CHECK_FALSE(chat("edge")->replied);
}

TEST_CASE_METHOD(front_fixture, "n choices are n sessions with seeds of their own", "[actors][gateway]") {
  auto c = chat("edge", R"(, "n": 2, "seed": 7)");
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].what.choose.seed == 7);
  CHECK(requests[1].what.choose.seed == 8);
  CHECK(requests[0].hdr.session != requests[1].hdr.session);
  token_of(1, 0, "b");
  finish_of(1, 1);
  token_of(0, 0, "a");
  CHECK_FALSE(c->replied);
  finish_of(0, 1);
  REQUIRE(c->replied);
  CHECK(c->body().at("choices").at(0).at("message").at("content") == "a");
  CHECK(c->body().at("choices").at(1).at("message").at("content") == "b");
  CHECK(c->body().at("usage").at("prompt_tokens") == 4);
  CHECK(c->body().at("usage").at("completion_tokens") == 2);
  CHECK(cancelled.empty());
  CHECK(json::parse(get("/status")->got.body).at("gateway").at("answering") == 0);
}

TEST_CASE_METHOD(front_fixture, "one choice that fails ends them all", "[actors][gateway]") {
  auto c = chat("edge", R"(, "n": 2)");
  answer_with(failure{ec::model_error, 0, "the shard threw"}, true, {}, 1);
  CHECK(c->got.status == 500);
  REQUIRE(cancelled.size() == 1);
  CHECK(cancelled[0].session == requests[0].hdr.session);
}

TEST_CASE_METHOD(front_fixture, "a client that leaves n choices cancels those that run", "[actors][gateway]") {
  auto c = chat("edge", R"(, "n": 2, "stream": true)");
  finish_of(0, 0);
  CHECK_FALSE(c->ended);
  c->gone();
  REQUIRE(cancelled.size() == 1);
  CHECK(cancelled[0].session == requests[1].hdr.session);
}

TEST_CASE_METHOD(front_fixture, "choices count as answers of the gateway", "[actors][gateway]") {
  CHECK(chat("edge", R"(, "n": 3)")->body().at("error").at("param") == "n");
  auto first = chat("edge");
  CHECK(chat("edge", R"(, "n": 2)")->got.status == 429);
}

TEST_CASE_METHOD(front_fixture, "a token without text still tells its log-probability", "[actors][gateway]") {
  auto c = chat("edge", R"(, "stream": true, "logprobs": true)");
  CHECK(requests.at(0).what.choose.logprobs);
  tokens t{0, {5}, ""};
  t.logprobs = {{{5, -0.5, "h"}, {}}};
  answer_with(t, false);
  CHECK(c->stream.find("\"logprob\":-0.5") != std::string::npos);
}

TEST_CASE_METHOD(front_fixture, "a client that goes away cancels its session", "[actors][gateway]") {
  auto c = chat("edge", R"(, "stream": true)");
  token(0, "a");
  c->gone();
  REQUIRE(cancelled.size() == 1);
  CHECK(cancelled[0].session == requests[0].hdr.session);
  auto before = c->stream;
  token(1, "b");  // late
  finish(2);
  CHECK(c->stream == before);
  CHECK(json::parse(get("/status")->got.body).at("gateway").at("late_answers") == 2);
  CHECK(json::parse(get("/status")->got.body).at("gateway").at("gone") == 1);
}

TEST_CASE_METHOD(front_fixture, "a session that stays silent past its deadline is answered for", "[actors][gateway]") {
  auto c = chat("edge", R"(, "virga": {"deadline_ms": 200})");
  f->on_tick(steady_clock::now() + 600ms);
  CHECK_FALSE(c->replied);
  f->on_tick(steady_clock::now() + 800ms);
  CHECK(c->got.status == 504);
  CHECK(c->error_code() == "deadline_exceeded");
  CHECK(cancelled.size() == 1);
}

TEST_CASE_METHOD(front_fixture, "the body's deadline wins over the header's, and a wrong header is refused",
                 "[actors][gateway]") {
  http_request r{"POST", "/v1/completions", R"({"model": "edge", "prompt": "hi"})", "", "", "90000", "test"};
  f->on_request(r, std::make_shared<client>());
  CHECK(requests.at(0).hdr.deadline > steady_clock::now() + 80s);
  r.body = R"({"model": "edge", "prompt": "hi", "virga": {"deadline_ms": 500}})";
  f->on_request(r, std::make_shared<client>());
  CHECK(requests.at(1).hdr.deadline < steady_clock::now() + 1s);
  r.body = R"({"model": "edge", "prompt": "hi"})";
  r.deadline_ms = "soon";
  auto c = std::make_shared<client>();
  f->on_request(r, c);
  CHECK(c->got.status == 400);
}

TEST_CASE_METHOD(front_fixture, "a silent stream is kept open with comments", "[actors][gateway]") {
  auto c = chat("edge", R"(, "stream": true)");
  f->on_tick(steady_clock::now() + 15s);
  CHECK(c->stream.empty());
  token(0, "a");
  f->on_tick(steady_clock::now() + 5s);
  CHECK(c->stream.find(":") != 0);
  CHECK(c->stream.find("keep-alive") == std::string::npos);
  f->on_tick(steady_clock::now() + 11s);
  CHECK(c->stream.ends_with(": keep-alive\n\n"));
}

TEST_CASE_METHOD(front_fixture, "request ids are one printable word or replaced", "[actors][gateway]") {
  auto [given, kept] = GENERATE(table<std::string, bool>({
    {"abc-1", true}, {"", false}, {"a b", false}, {"a\x01", false}, {std::string(128, 'x'), true},
    {std::string(129, 'x'), false}, {"gr\xC3\xBCn", false}}));
  auto c = std::make_shared<client>();
  f->on_request({"GET", "/health/live", "", "", given, "", ""}, c);
  CHECK((c->header("X-Request-Id") == given) == kept);
  CHECK_FALSE(c->header("X-Request-Id").empty());
}

TEST_CASE_METHOD(front_fixture, "models are the strategies served now", "[actors][gateway]") {
  auto data = get("/v1/models")->body().at("data");
  REQUIRE(data.as_array().size() == 3);
  CHECK(data.at(2).at("id") == "virga/split");
  CHECK(get("/v1/models/virga/split")->body().at("id") == "virga/split");
  CHECK(get("/v1/models/virga/hat")->got.status == 404);
}

TEST_CASE_METHOD(front_fixture, "a strategy never served is not found, one missing now is unavailable",
                 "[actors][gateway]") {
  auto never = chat("hat");
  CHECK(never->got.status == 404);
  CHECK(never->error_code() == "model_not_found");
  CHECK(std::string(never->body().at("error").at("message").as_string()).find("served: virga/cloud virga/edge")
        != std::string::npos);
  CHECK(std::string(chat("gpt-4")->body().at("error").at("message").as_string()).find("served: virga/cloud")
        != std::string::npos);
  status.strategies = {strategy::edge};
  status.peers.push_back({"cloud", "cloud-1", false, "connection refused", {}, {}, {}});
  f->on_status(status);
  auto now = chat("split");
  CHECK(now->got.status == 503);
  CHECK(now->header("Retry-After") == "1");
  CHECK(now->body().at("error").at("message")
        == "virga/split cannot be served now: cloud-1 (site cloud) cannot be reached: connection refused");
}

TEST_CASE_METHOD(front_fixture, "health tells life from readiness", "[actors][gateway]") {
  CHECK(get("/health/live")->got.status == 200);
  auto ready = get("/health/ready");
  CHECK(ready->got.status == 200);
  CHECK(ready->body() == json::value{{"ready", true}, {"reason", ""}, {"strategies", {"cloud", "edge", "split"}}});
  f->on_silent_node();
  CHECK(get("/health/ready")->got.status == 503);
  CHECK(get("/health/ready")->body().at("reason") == "the node does not answer");
  CHECK(get("/health/live")->got.status == 200);
}

TEST_CASE_METHOD(front_fixture, "before the node has spoken nothing is ready", "[actors][gateway]") {
  status = {};
  make();
  f = std::make_unique<front>(config, front_ports{{}, {}, [] { return session_id{1, 1}; }});
  CHECK(get("/health/ready")->got.status == 503);
  CHECK(chat("edge")->got.status == 503);
}

TEST_CASE_METHOD(front_fixture, "a draining node takes nothing new", "[actors][gateway]") {
  bool by_node = GENERATE(false, true);
  auto running = chat("edge");
  status.draining = by_node;
  by_node ? f->on_status(status) : f->drain();
  auto c = chat("edge");
  CHECK(c->got.status == 503);
  CHECK(c->error_code() == "shutting_down");
  CHECK(get("/health/ready")->got.status == 503);
  finish(0);
  CHECK(running->got.status == 200);
}

TEST_CASE_METHOD(front_fixture, "at the cut everything open is answered and cancelled", "[actors][gateway]") {
  auto whole = chat("edge");
  auto stream = chat("edge", R"(, "stream": true)");
  answer_with(tokens{0, {5}, "a"}, false, {}, 1);
  f->on_cut(steady_clock::now());
  CHECK(whole->error_code() == "shutting_down");
  CHECK(stream->stream.find("shutting_down") != std::string::npos);
  CHECK(stream->ended);
  CHECK(cancelled.size() == 2);
}

TEST_CASE_METHOD(front_fixture, "keys guard everything but health", "[actors][gateway]") {
  config.api_keys = {"first", "second"};
  make();
  CHECK(get("/health/live")->got.status == 200);
  CHECK(get("/health/ready")->got.status == 200);
  for (auto path : {"/status", "/metrics", "/v1/models", "/nothing"}) {
    CHECK(send("GET", path)->got.status == 401);
    CHECK(send("GET", path, "", "Bearer firs")->got.status == 401);
    CHECK(send("GET", path, "", "Bearer ")->got.status == 401);
    CHECK(send("GET", path, "", "first")->got.status == 401);
  }
  CHECK(send("GET", "/v1/models")->header("WWW-Authenticate") == "Bearer");
  CHECK(send("GET", "/v1/models", "", "Bearer second")->got.status == 200);
  CHECK(send("GET", "/status", "", "bearer first")->got.status == 200);
}

TEST_CASE_METHOD(front_fixture, "without the API there are no completions", "[actors][gateway]") {
  config.api = false;
  make();
  CHECK(get("/status")->got.status == 200);
  CHECK(get("/metrics")->got.status == 200);
  CHECK(get("/health/ready")->got.status == 200);
  CHECK(get("/v1/models")->got.status == 404);
  CHECK(chat("edge")->got.status == 404);
}

TEST_CASE_METHOD(front_fixture, "wrong paths and methods are refused in OpenAI's form", "[actors][gateway]") {
  CHECK(get("/v1/nothing")->got.status == 404);
  CHECK(get("/nothing")->error_code() == "not_found");
  CHECK(send("POST", "/")->got.status == 405);
  CHECK(get("/v1/chat/completions")->got.status == 405);
  CHECK(send("POST", "/v1/models")->got.status == 405);
  CHECK(send("DELETE", "/status")->error_code() == "method_not_allowed");
}

TEST_CASE_METHOD(front_fixture, "metrics count what was answered, with vLLM's names", "[actors][gateway]") {
  auto has = [this](std::string line) {
    auto c = get("/metrics");
    CHECK(c->got.content_type.starts_with("text/plain"));
    INFO(c->got.body);
    return c->got.body.find(line + "\n") != std::string::npos;
  };
  status.engines.push_back({1, 2, 3, 4, 5, 10, "whole"});
  status.roles.push_back({"engine whole", true, 7, 2, 1500});
  status.peers.push_back({"cloud", "cloud-1", true, "", {}, {1, 2, 2000, 3, 4}, {}});
  status.peers[0].counts.bytes_out = 77;
  f->on_status(status);
  auto c = chat("edge");
  token(0, "a");
  CHECK(has(R"(vllm:generation_tokens_total{model_name="virga/edge"} 1)"));
  token(1, "b");
  CHECK(has(R"(vllm:inter_token_latency_seconds_count{model_name="virga/edge"} 1)"));
  finish_of(0, 1);
  chat("edge");
  answer_with(failure{ec::model_error, 0, "the shard threw"}, true, {}, 1);
  chat("gpt-4");
  CHECK(has(R"(vllm:prompt_tokens_total{model_name="virga/edge"} 4)"));
  CHECK(has(R"(vllm:request_success_total{finished_reason="length",model_name="virga/edge"} 1)"));
  CHECK(has(R"(vllm:time_to_first_token_seconds_count{model_name="virga/edge"} 1)"));
  CHECK(has(R"(virga_request_errors_total{code="model_error",model_name="virga/edge"} 1)"));
  CHECK(has(R"(virga_requests_refused_total{code="model_not_found"} 1)"));
  CHECK(has(R"(vllm:num_requests_running{engine="whole"} 3)"));
  CHECK(has(R"(vllm:kv_cache_usage_perc{engine="whole"} 0.5)"));
  CHECK(has(R"(virga_role_restarts_total{role="engine whole"} 2)"));
  CHECK(has(R"(virga_mailbox_delay_seconds{role="engine whole"} 0.0015)"));
  CHECK(has(R"(virga_link_rtt_seconds{site="cloud",peer="cloud-1"} 0.002)"));
  CHECK(has(R"(virga_link_sent_bytes_total{site="cloud",peer="cloud-1"} 77)"));
}

TEST_CASE_METHOD(front_fixture, "an admin address changes the shape of a link", "[actors][gateway]") {
  CHECK(send("POST", "/chaos", R"({"peer": "cloud-1"})")->got.status == 404);  // nothing to change here
  front_ports p;
  p.make_id = [this] { return session_id{7, ++ids}; };
  std::string peer;
  shape_change asked;
  std::function<void(std::optional<link_shape>)> done;
  p.reshape = [&](auto& to, auto& what, auto then) { peer = to, asked = what, done = std::move(then); };
  f = std::make_unique<front>(config, std::move(p));
  auto body = R"({"peer": "cloud-1", "up": {"latency_ms": 5, "partitioned": true}, "stall_ms": 20, "cut": true})";
  auto c = send("POST", "/chaos", body);
  CHECK_FALSE(c->replied);
  CHECK(peer == "cloud-1");
  CHECK(asked.up.latency_ms == 5);
  CHECK(asked.up.partitioned == true);
  CHECK_FALSE(asked.down.latency_ms);
  CHECK(asked.stall_ms == 20);
  CHECK(asked.cut);
  done(shape_of(10, 0, 8, 0));
  CHECK(c->body().at("up").at("latency_ms") == 5);
  CHECK(c->body().at("up").at("mbit") == 8);
  CHECK(c->body().at("down").at("partitioned") == false);
  c = send("POST", "/chaos", body);
  done({});
  CHECK(c->got.status == 404);
  CHECK(c->error_code() == "no_shaper");
  c = send("POST", "/chaos", body);
  c->gone();
  done({});  // nobody is told
  CHECK_FALSE(c->replied);
  for (auto wrong : {"[]", "{}", R"({"peer": 3})", R"({"peer": "c", "sideways": {}})", R"({"peer": "c", "up": {"latency": 1}})",
                     R"({"peer": "c", "up": {"mbit": -1}})", R"({"peer": "c", "cut": 1})"})
    CHECK(send("POST", "/chaos", wrong)->got.status == 400);
  CHECK(get("/chaos")->got.status == 405);
}

TEST_CASE_METHOD(front_fixture, "the page needs no key, what it shows does", "[actors][gateway]") {
  config.api_keys = {"first"};
  make();
  auto page = get("/");
  CHECK(page->got.status == 200);
  CHECK(page->got.content_type == "text/html; charset=utf-8");
  CHECK(page->got.body.size() > 150'000);  // the chart library is inside
  CHECK(page->got.body.find("/*CHART*/") == std::string::npos);
  CHECK(get("/requests")->got.status == 401);
}

TEST_CASE_METHOD(front_fixture, "recent requests are kept, newest first and not for ever", "[actors][gateway]") {
  for (std::size_t i = 0; i < gateway_defaults::recent_requests + 5; ++i) {
    chat(i % 2 ? "edge" : "split");
    outcome o;
    o.finish = finish_reason::stop;
    o.attempts = 2;
    o.places = {{"edge-1", "layers 0-1"}};
    o.link_us = 2500;
    answer_with(std::move(o), true, {}, i);
  }
  auto recent = get("/requests")->body().at("recent");
  REQUIRE(recent.as_array().size() == gateway_defaults::recent_requests);
  CHECK(recent.at(0).at("strategy") == "split");
  CHECK(recent.at(1).at("strategy") == "edge");
  CHECK(recent.at(0).at("result") == "stop");
  CHECK(recent.at(0).at("link_ms") == 2.5);
  CHECK(recent.at(0).at("attempts") == 2);
  CHECK(recent.at(0).at("places").at(0).at("node") == "edge-1");
}
