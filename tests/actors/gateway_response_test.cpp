#include "actors/gateway/api_error.hpp"
#include "actors/gateway/json_text.hpp"
#include "actors/gateway/openai_response.hpp"
#include "actors/gateway/status_json.hpp"
#include "tests/support/catch.hpp"

#include <boost/json.hpp>

#include <limits>

using namespace virga;
namespace json = boost::json;

namespace {

virga_report report() {
  virga_report r;
  r.result.how = strategy::split;
  r.result.finish = finish_reason::length;
  r.result.places = {{"edge-1", "embedding, layers 0-1, head"}, {"cloud-1", "layers 2-7"}};
  r.result.prompt_tokens = 5;
  r.result.completion_tokens = 3;
  r.result.round_trips = 4;
  r.result.bytes_up = 1000;
  r.result.bytes_down = 900;
  r.result.queue_us = 1500;
  r.result.compute_us = 12'250;
  r.result.link_us = 40'000;
  r.request_id = "req-1";
  r.session = {1, 2};
  r.total_ms = 60.5;
  r.ttft_ms = 20.25;
  r.tbt_ms = 20.125;
  return r;
}

answer_head head(bool chat, bool include_usage = false, bool logprobs = false) {
  return {chat, include_usage, logprobs, "id-1", "virga/split", 1700000000};
}

constexpr usage five_and_three{5, 3};

std::string whole(const answer_head& h, std::string text, virga_report r, std::vector<token_logprobs> logprobs = {}) {
  return completion_json(h, {{{0, std::move(text), std::move(logprobs)}, std::move(r)}}, five_and_three);
}

std::string piece(const answer_head& h, std::string text) {
  std::size_t offset = 0;
  return text_event(h, {0, std::move(text), {}}, offset);
}

std::string end(const answer_head& h) { return last_event(h, 0, report()) + end_events(h, five_and_three); }

/// The JSON of each `data:` event of a stream; "[DONE]" stays text.
std::vector<std::string> events(std::string_view stream) {
  std::vector<std::string> all;
  while (!stream.empty()) {
    REQUIRE(stream.starts_with("data: "));
    auto end = stream.find("\n\n");
    REQUIRE(end != stream.npos);
    all.emplace_back(stream.substr(6, end - 6));
    stream.remove_prefix(end + 2);
  }
  return all;
}

} // namespace

TEST_CASE("doubles are written as people write them", "[actors][gateway]") {
  CHECK(json_text({{"a", 12.5}, {"b", 1.0}, {"c", {1, "x\n", nullptr, true}}, {"d", json::object{}}})
        == R"({"a":12.5,"b":1,"c":[1,"x\n",null,true],"d":{}})");
  CHECK(json_text(json::value(1e300 * 1e300)) == "null");
}

TEST_CASE("what was said without the cloud is marked in its piece and counted at the end", "[actors][gateway]") {
  std::size_t offset = 0;
  auto sure = json::parse(events(piece(head(true), "a")).at(0));
  CHECK_FALSE(sure.at("choices").at(0).as_object().contains("virga"));
  auto unsure = json::parse(events(text_event(head(true), {0, "a", {}, true}, offset)).at(0));
  CHECK(unsure.at("choices").at(0).at("virga").at("unverified").as_bool());
  auto r = report();
  CHECK_FALSE(json::parse(whole(head(true), "a", r)).at("virga").as_object().contains("unverified_tokens"));
  r.result.unverified_tokens = 7;
  CHECK(json::parse(whole(head(true), "a", r)).at("virga").at("unverified_tokens") == 7);
}

TEST_CASE("bytes that are not UTF-8 become the replacement character", "[actors][gateway]") {
  CHECK(to_utf8("grün 🙂 \xE2\x82\xAC") == "grün 🙂 €");
  CHECK(to_utf8("a\xff" "b") == "a\xEF\xBF\xBD" "b");
  CHECK(to_utf8("\xE2\x82") == "\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(to_utf8("\xC0\x80\xED\xA0\x80").find('\xC0') == std::string::npos);
}

TEST_CASE("a chat's answer has the message, the usage and the virga object", "[actors][gateway]") {
  auto v = json::parse(whole(head(true), "Hello", report()));
  CHECK(v.at("object") == "chat.completion");
  CHECK(v.at("id") == "id-1");
  CHECK(v.at("created") == 1700000000);
  CHECK(v.at("model") == "virga/split");
  auto& choice = v.at("choices").at(0);
  CHECK(choice.at("message").at("content") == "Hello");
  CHECK(choice.at("message").at("role") == "assistant");
  CHECK(choice.at("finish_reason") == "length");
  CHECK(v.at("usage") == json::value{{"prompt_tokens", 5}, {"completion_tokens", 3}, {"total_tokens", 8}});
  auto& own = v.at("virga");
  CHECK(own.at("strategy") == "split");
  CHECK(own.at("places").at(1) == json::value{{"node", "cloud-1"}, {"stages", "layers 2-7"}});
  CHECK(own.at("attempts") == 1);
  CHECK(own.at("round_trips") == 4);
  CHECK(own.at("bytes_up") == 1000);
  CHECK(own.at("bytes_down") == 900);
  CHECK(own.at("time_ms")
        == json::value{{"total", 60.5}, {"ttft", 20.25}, {"compute", 12.25}, {"link", 40}, {"queue", 1.5}});
  CHECK(own.at("tbt_ms") == 20.125);
  CHECK(own.at("request_id") == "req-1");
  CHECK(own.at("session") == "00000000000000010000000000000002");
}

TEST_CASE("a completion's answer has the text", "[actors][gateway]") {
  auto r = report();
  r.result.finish = finish_reason::stop;
  auto v = json::parse(whole(head(false), "Hello", r));
  CHECK(v.at("object") == "text_completion");
  CHECK(v.at("choices").at(0).at("text") == "Hello");
  CHECK(v.at("choices").at(0).at("finish_reason") == "stop");
}

TEST_CASE("a chat's stream begins with the role and ends with the reason, the virga object and DONE",
          "[actors][gateway]") {
  auto h = head(true);
  auto all = events(first_event(h, 0) + piece(h, "Hel") + end(h));
  REQUIRE(all.size() == 4);
  auto delta = [&](int i) { return json::parse(all[i]).at("choices").at(0).at("delta"); };
  CHECK(delta(0).at("role") == "assistant");
  CHECK(delta(1).at("content") == "Hel");
  CHECK(json::parse(all[1]).at("object") == "chat.completion.chunk");
  CHECK(json::parse(all[1]).at("choices").at(0).at("finish_reason").is_null());
  CHECK(json::parse(all[2]).at("choices").at(0).at("finish_reason") == "length");
  CHECK(json::parse(all[2]).at("virga").at("strategy") == "split");
  CHECK_FALSE(json::parse(all[2]).as_object().contains("usage"));
  CHECK(all[3] == "[DONE]");
}

TEST_CASE("usage comes in one more chunk without choices when it is asked for", "[actors][gateway]") {
  auto h = head(false, true);
  CHECK(first_event(h, 0).empty());
  auto all = events(piece(h, "a") + end(h));
  REQUIRE(all.size() == 4);
  CHECK(json::parse(all[0]).at("usage").is_null());
  CHECK(json::parse(all[0]).at("choices").at(0).at("text") == "a");
  CHECK(json::parse(all[2]).at("choices").as_array().empty());
  CHECK(json::parse(all[2]).at("usage").at("total_tokens") == 8);
}

namespace {

/// "a", and a token of half a character; the second has no chance.
std::vector<token_logprobs> two_tokens() {
  return {{{5, -0.5, "\xE2\x82\xAC"}, {{5, -0.5, "\xE2\x82\xAC"}, {6, -1.5, "b"}}},
          {{7, -std::numeric_limits<double>::infinity(), "\xF0\x9F"}, {{6, -0.25, "b"}}}};
}

} // namespace

TEST_CASE("a chat's log-probabilities have text, bytes and the likeliest", "[actors][gateway]") {
  auto v = json::parse(whole(head(true, false, true), "x", report(), two_tokens()));
  auto& content = v.at("choices").at(0).at("logprobs").at("content");
  REQUIRE(content.as_array().size() == 2);
  CHECK(content.at(0).at("token") == "\xE2\x82\xAC");
  CHECK(content.at(0).at("bytes") == json::array{0xE2, 0x82, 0xAC});
  CHECK(content.at(0).at("logprob") == -0.5);
  CHECK(content.at(0).at("top_logprobs").at(1)
        == json::value{{"token", "b"}, {"logprob", -1.5}, {"bytes", json::array{98}}});
  CHECK(content.at(1).at("bytes") == json::array{0xF0, 0x9F});
  CHECK(content.at(1).at("token") == "\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(content.at(1).at("logprob") == -9999);
  CHECK(json::parse(whole(head(true), "x", report())).at("choices").at(0).at("logprobs").is_null());
}

TEST_CASE("a completion's log-probabilities have offsets in characters, also over a stream", "[actors][gateway]") {
  auto h = head(false, false, true);
  auto v = json::parse(whole(h, "x", report(), two_tokens()));
  auto& l = v.at("choices").at(0).at("logprobs");
  CHECK(l.at("text_offset") == json::array{0, 1});
  CHECK(l.at("token_logprobs") == json::array{-0.5, -9999});
  CHECK(l.at("top_logprobs").at(0) == json::value{{"\xE2\x82\xAC", -0.5}, {"b", -1.5}});
  CHECK(l.at("top_logprobs").at(1).as_object().size() == 2);  // the chosen token is told, likely or not
  std::size_t offset = 4;
  auto streamed = json::parse(events(text_event(h, {0, "", two_tokens()}, offset)).at(0));
  CHECK(streamed.at("choices").at(0).at("logprobs").at("text_offset") == json::array{4, 5});
  CHECK(offset == 7);
}

TEST_CASE("several choices each say how they were made, the prompt counts once", "[actors][gateway]") {
  auto other = report();
  other.result.how = strategy::cloud;
  auto v = json::parse(completion_json(head(true), {{{0, "a", {}}, report()}, {{1, "b", {}}, other}}, {5, 6}));
  REQUIRE(v.at("choices").as_array().size() == 2);
  CHECK(v.at("choices").at(1).at("index") == 1);
  CHECK(v.at("choices").at(1).at("message").at("content") == "b");
  CHECK(v.at("choices").at(1).at("virga").at("strategy") == "cloud");
  CHECK_FALSE(v.as_object().contains("virga"));
  CHECK(v.at("usage").at("total_tokens") == 11);
}

TEST_CASE("every failure has its status and its name", "[actors][gateway]") {
  auto [code, status, retry] = GENERATE(table<ec, int, std::uint32_t>({
    {ec::deadline_exceeded, 504, 0},
    {ec::queue_full, 429, 2},
    {ec::peer_unreachable, 503, 1},
    {ec::shutting_down, 503, 1},
    {ec::out_of_pages, 503, 1},
    {ec::bad_request, 400, 0},
    {ec::context_exceeded, 400, 0},
    {ec::unsupported, 400, 0},
    {ec::model_error, 500, 0},
    {ec::internal, 500, 0},
  }));
  auto e = to_api_error({code, 1001, "why"});
  CHECK(e.status == status);
  CHECK(e.retry_after_s == retry);
  auto reply = to_reply(e);
  CHECK(reply.status == status);
  auto v = json::parse(reply.body).at("error");
  CHECK(v.at("message") == "why");
  CHECK(v.at("code") == json::value(to_string(code)));
  CHECK(v.at("param").is_null());
  CHECK(v.at("type").is_string());
  CHECK((retry != 0) == (!reply.headers.empty() && reply.headers[0].first == "Retry-After"));
}

TEST_CASE("what is missing is explained by whatever is wrong now", "[actors][gateway]") {
  node_status s;
  s.ready = true;
  CHECK_FALSE(why_missing(s));
  s.roles.push_back({"generator", false, 0, 1});
  CHECK(*why_missing(s) == "the generator of this node is not running");
  s.peers.push_back({"cloud", "cloud-1", true, "", {{role::verifier, 0}}, {}, {}});
  CHECK(*why_missing(s) == "the verifier of cloud-1 is not running");
  s.peers[0].up = false;
  s.peers[0].reason = "connection refused";
  CHECK(*why_missing(s) == "cloud-1 (site cloud) cannot be reached: connection refused");
  s.draining = true;
  CHECK(*why_missing(s) == "this node is shutting down");
}

TEST_CASE("the status shows the whole node", "[actors][gateway]") {
  node_status s;
  s.name = "edge-1";
  s.ready = true;
  s.strategies = {strategy::edge, strategy::split};
  s.roles.push_back({"drafter", true, 7, 0});
  s.peers.push_back({"cloud", "cloud-1", true, "", {{role::verifier, 9}}, {1, 2, 1500, 3, 4}, {}});
  s.engines.push_back({1, 2, 3, 4, 5, 6, "whole"});
  s.supervision = {3, 30, 8};
  auto v = json::parse(status_json(s, {1, 64, 10, 20, 2, 3, 4}));
  CHECK(v.at("name") == "edge-1");
  CHECK(v.at("strategies") == json::array{"edge", "split"});
  CHECK(v.at("roles").at(0).at("incarnation") == 7);
  CHECK(v.at("peers").at(0).at("rtt_ms") == 1.5);
  CHECK(v.at("engines").at(0).at("kv_bytes_limit") == 6);
  CHECK(v.at("engines").at(0).at("name") == "whole");
  CHECK(v.at("supervision") == json::value{{"max_restarts", 3}, {"within_s", 30}, {"drain_s", 8}});
  CHECK_FALSE(v.at("roles").at(0).as_object().contains("mailbox_us"));
  CHECK(v.at("gateway").at("late_answers") == 4);
}
