#include "deploy/diagnosis.hpp"
#include "tests/support/catch.hpp"

#include <boost/json.hpp>

using namespace virga::deploy;
namespace json = boost::json;

namespace {

json::object status() {
  return json::parse(R"({"name": "edge-1", "ready": true, "reason": "",
    "roles": [{"name": "drafter split", "running": true, "restarts": 0, "mailbox_us": 90}],
    "peers": [{"node": "cloud-1", "up": true, "reason": "", "rtt_ms": 21.5, "up_bytes_per_s": 1250000, "down_bytes_per_s": 0,
               "link": {"connections": 1}}],
    "neighbours": [],
    "engines": [{"name": "device", "sequences": 2, "waiting": 0, "kv_bytes": 10, "kv_bytes_limit": 100}],
    "gateway": {"refused_full": 0, "answering_limit": 64}})").as_object();
}

json::object request(double total, double compute, double link, double queue, int code = 200) {
  return {{"strategy", "split"}, {"status", code}, {"total_ms", total}, {"compute_ms", compute}, {"link_ms", link}, {"queue_ms", queue}};
}

diagnosis of(json::object s, json::array requests) {
  diagnosis d;
  examine(s, json::object{{"recent", std::move(requests)}}, d);
  return d;
}

} // namespace

TEST_CASE("what took most of the time is named", "[deploy][doctor]") {
  struct sample { double compute, link, queue; std::string slow, advice; };
  auto s = GENERATE(values<sample>({{10, 80, 5, "link", "round trip of 21.5 ms, 10.0 Mbit/s up, and each token"},
                                    {80, 10, 5, "compute", "more threads"},
                                    {10, 10, 75, "queue", "wait for their turn"},
                                    {10, 10, 10, "software", "busy machine"}}));
  auto d = of(status(), {request(100, s.compute, s.link, s.queue), request(100, s.compute, s.link, s.queue)});
  REQUIRE(d.strategies.size() == 1);
  CHECK(d.strategies[0].requests == 2);
  CHECK(d.strategies[0].total_ms == Approx(100));
  CHECK(d.strategies[0].slowest == s.slow);
  CHECK(d.strategies[0].advice.find(s.advice) != std::string::npos);
  CHECK(d.findings.empty());
}

TEST_CASE("requests that failed do not count", "[deploy][doctor]") {
  CHECK(of(status(), {request(100, 1, 1, 1, 503)}).strategies.empty());
}

TEST_CASE("what is broken gets a sentence each", "[deploy][doctor]") {
  struct fault { std::string pointer; json::value value; std::string says; };
  auto f = GENERATE(values<fault>({{"/ready", false, "edge-1 is not ready"},
                                   {"/peers/0/up", false, "edge-1 is without cloud-1"},
                                   {"/peers/0/link/connections", 4, "has connected to cloud-1 4 times"},
                                   {"/engines/0/kv_bytes", 95, "has used 95 % of its KV cache"},
                                   {"/engines/0/waiting", 7, "has 7 calls waiting"},
                                   {"/roles/0/restarts", 2, "drafter split of edge-1 has crashed 2 times"},
                                   {"/roles/0/mailbox_us", 70000, "took 70 ms to read a message"},
                                   {"/gateway/refused_full", 3, "has refused 3 requests because it had 64 already"}}));
  json::value s = status();
  s.at_pointer(f.pointer) = f.value;
  auto d = of(s.as_object(), {});
  REQUIRE(d.findings.size() == 1);
  CHECK(d.findings[0].find(f.says) != std::string::npos);
}
