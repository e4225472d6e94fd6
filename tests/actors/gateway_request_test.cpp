#include "actors/gateway/openai_request.hpp"
#include "messages/limits.hpp"
#include "tests/support/catch.hpp"

using namespace virga;

namespace {

api_request good(const std::variant<api_request, api_error>& r) {
  if (auto e = std::get_if<api_error>(&r))
    FAIL("refused: " << e->message);
  return std::get<api_request>(r);
}

api_error wrong(const std::variant<api_request, api_error>& r) {
  REQUIRE(std::holds_alternative<api_error>(r));
  return std::get<api_error>(r);
}

/// A chat with `more` fields, e.g. R"("n": 2)".
std::string chat(const std::string& more) {
  return R"({"model": "virga/split", "messages": [{"role": "user", "content": "hi"}])"
         + (more.empty() ? "" : ", " + more) + "}";
}

std::string completion(const std::string& more) {
  return R"({"model": "cloud", "prompt": "hi")" + (more.empty() ? "" : ", " + more) + "}";
}

/// "role:content;" of each message.
std::string texts(const api_request& r) {
  std::string out;
  for (auto& m : r.messages)
    out += m.role + ":" + m.content + ";";
  return out;
}

std::string chat_of(const std::string& messages) { return R"({"model": "edge", "messages": )" + messages + "}"; }

} // namespace

TEST_CASE("a chat without options gets the defaults", "[actors][gateway]") {
  auto r = good(parse_chat(chat("")));
  CHECK(r.chat);
  CHECK(r.how == strategy::split);
  CHECK(r.prompt.empty());
  CHECK(texts(r) == "user:hi;");
  CHECK(r.max_tokens == 256);
  CHECK(r.choose.temperature == 0);
  CHECK(r.choose.top_p == 1);
  CHECK(r.stop.empty());
  CHECK_FALSE(r.seed);
  CHECK_FALSE(r.stream);
  CHECK_FALSE(r.include_usage);
  CHECK_FALSE(r.deadline_ms);
}

TEST_CASE("a chat's options are read", "[actors][gateway]") {
  auto r = good(parse_chat(chat(R"("max_tokens": 7, "temperature": 1.5, "seed": 9223372036854775807, "stream": true,
    "stream_options": {"include_usage": true}, "virga": {"deadline_ms": 1500}, "user": "me", "unheard_of": [1])")));
  CHECK(r.max_tokens == 7);
  CHECK(r.choose.temperature == 1.5);
  CHECK(r.seed == 9223372036854775807ull);
  CHECK(r.stream);
  CHECK(r.include_usage);
  CHECK(r.deadline_ms == 1500u);
}

TEST_CASE("max_completion_tokens is the newer name of max_tokens and wins", "[actors][gateway]") {
  CHECK(good(parse_chat(chat(R"("max_tokens": 7, "max_completion_tokens": 9)"))).max_tokens == 9);
}

TEST_CASE("null means unset, as OpenAI's clients send it", "[actors][gateway]") {
  auto r = good(parse_chat(chat(R"("max_tokens": null, "temperature": null, "seed": null, "stop": null, "tools": null,
    "stream": null, "stream_options": null, "logprobs": null, "response_format": null, "virga": null)")));
  CHECK(r.max_tokens == 256);
}

TEST_CASE("fields that ask for nothing are taken", "[actors][gateway]") {
  good(parse_chat(chat(R"("n": 1, "top_p": 1.0, "presence_penalty": 0, "frequency_penalty": 0.0, "logprobs": false,
    "stop": [], "logit_bias": {}, "tools": [], "tool_choice": "none", "response_format": {"type": "text"},
    "modalities": ["text"])")));
  good(parse_completion(completion(R"("echo": false, "best_of": 1, "suffix": "")")));
}

TEST_CASE("messages keep their order, text parts are joined, a developer is the system", "[actors][gateway]") {
  auto r = good(parse_chat(chat_of(R"([{"role": "developer", "content": "be short"}, {"role": "user", "content": ""},
    {"role": "assistant", "content": "b"},
    {"role": "user", "content": [{"type": "text", "text": "To"}, {"type": "text", "text": " be"}]}])")));
  CHECK(r.how == strategy::edge);
  CHECK(texts(r) == "system:be short;user:;assistant:b;user:To be;");
}

TEST_CASE("how tokens are chosen is read, in OpenAI's names and vLLM's", "[actors][gateway]") {
  auto s = good(parse_chat(chat(R"("top_p": 0.9, "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1,
    "presence_penalty": -2, "frequency_penalty": 0.5, "logit_bias": {"5": -100, "17": 1.5})"))).choose;
  CHECK(s.top_p == 0.9);
  CHECK(s.top_k == 40);
  CHECK(s.min_p == 0.05);
  CHECK(s.repetition_penalty == 1.1);
  CHECK(s.presence_penalty == -2);
  CHECK(s.frequency_penalty == 0.5);
  REQUIRE(s.logit_bias.size() == 2);
  CHECK(s.logit_bias[0].id == 5);
  CHECK(s.logit_bias[0].bias == -100);
  CHECK(s.logit_bias[1].bias == 1.5);
  CHECK(good(parse_chat(chat(R"("top_k": -1)"))).choose.top_k == 0);
}

TEST_CASE("log-probabilities are asked for in either form", "[actors][gateway]") {
  auto c = good(parse_chat(chat(R"("logprobs": true, "top_logprobs": 3)"))).choose;
  CHECK(c.logprobs);
  CHECK(c.top_logprobs == 3);
  CHECK(good(parse_chat(chat(R"("logprobs": true)"))).choose.logprobs);
  CHECK_FALSE(good(parse_chat(chat(R"("logprobs": false)"))).choose.logprobs);
  auto t = good(parse_completion(completion(R"("logprobs": 0)"))).choose;
  CHECK(t.logprobs);
  CHECK(t.top_logprobs == 0);
  CHECK_FALSE(good(parse_completion(completion(R"("logprobs": null)"))).choose.logprobs);
  CHECK(good(parse_completion(completion(R"("n": 3)"))).choices == 3);
}

TEST_CASE("stop is a string or an array of them", "[actors][gateway]") {
  using list = std::vector<std::string>;
  CHECK(good(parse_chat(chat(R"("stop": "\n\n")"))).stop == list{"\n\n"});
  CHECK(good(parse_completion(completion(R"("stop": ["a", "b"])"))).stop == list{"a", "b"});
  CHECK(good(parse_chat(chat(R"("stop": [])"))).stop.empty());
}

TEST_CASE("a completion's prompt is a string or an array of one", "[actors][gateway]") {
  auto r = good(parse_completion(completion("")));
  CHECK_FALSE(r.chat);
  CHECK(r.how == strategy::cloud);
  CHECK(r.prompt == "hi");
  CHECK(good(parse_completion(R"({"model": "cloud", "prompt": ["hi"]})")).prompt == "hi");
}

TEST_CASE("what virga cannot do yet is refused by name", "[actors][gateway]") {
  auto more = GENERATE(as<std::string>{}, R"("best_of": 2)", R"("echo": true)", R"("tools": [{}])", R"("tool_choice": {})",
                       R"("response_format": {"type": "json_object"})", R"("modalities": ["audio"])", R"("suffix": "x")",
                       R"("audio": {})", R"("functions": [1])");
  auto e = wrong(parse_chat(chat(more)));
  CHECK(e.status == 400);
  CHECK(e.code == "unsupported");
  CHECK(e.param == more.substr(1, more.find('"', 1) - 1));
  CHECK(e.message.find(e.param + " is not supported yet") == 0);
}

TEST_CASE("numbers outside their range are refused", "[actors][gateway]") {
  auto [more, field] = GENERATE(table<std::string, std::string>({
    {R"("max_tokens": 0)", "max_tokens"},
    {R"("max_tokens": -1)", "max_tokens"},
    {R"("max_tokens": 65537)", "max_tokens"},
    {R"("max_tokens": 1.5)", "max_tokens"},
    {R"("max_tokens": 18446744073709551616)", "max_tokens"},
    {R"("max_tokens": "7")", "max_tokens"},
    {R"("max_completion_tokens": 0)", "max_completion_tokens"},
    {R"("temperature": -0.1)", "temperature"},
    {R"("temperature": 2.1)", "temperature"},
    {R"("temperature": 1e999)", "temperature"},
    {R"("temperature": "hot")", "temperature"},
    {R"("top_p": 0)", "top_p"},
    {R"("top_p": 1.5)", "top_p"},
    {R"("top_k": -2)", "top_k"},
    {R"("min_p": 2)", "min_p"},
    {R"("repetition_penalty": 0)", "repetition_penalty"},
    {R"("presence_penalty": 3)", "presence_penalty"},
    {R"("frequency_penalty": -3)", "frequency_penalty"},
    {R"("logit_bias": [1])", "logit_bias"},
    {R"("logit_bias": {"x": 1})", "logit_bias"},
    {R"("logit_bias": {"5": 101})", "5"},
    {R"("stop": 3)", "stop"},
    {R"("stop": ["a", 3])", "stop[1]"},
    {R"("stop": ["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])", "stop"},
    {R"("n": 0)", "n"},
    {R"("n": "1")", "n"},
    {R"("n": 17)", "n"},
    {R"("logprobs": 3)", "logprobs"},
    {R"("top_logprobs": 3)", "top_logprobs"},
    {R"("logprobs": true, "top_logprobs": 21)", "top_logprobs"},
    {R"("seed": -1)", "seed"},
    {R"("seed": 9223372036854775808)", "seed"},
    {R"("stream": 1)", "stream"},
    {R"("virga": {"deadline_ms": 0})", "deadline_ms"},
    {R"("virga": {"deadline_ms": -5})", "deadline_ms"},
    {R"("virga": {"deadline": 5})", "virga.deadline"},
    {R"("virga": 5)", "virga"},
    {R"("stream_options": {"include_usage": true})", "stream_options"},
    {R"("stream": true, "stream_options": true)", "stream_options"},
  }));
  auto e = wrong(parse_chat(chat(more)));
  CHECK(e.status == 400);
  CHECK(e.code == "bad_request");
  CHECK(e.param == field);
}

TEST_CASE("wrong messages are refused with their place", "[actors][gateway]") {
  auto [messages, field] = GENERATE(table<std::string, std::string>({
    {"[]", "messages"},
    {"\"hi\"", "messages"},
    {"[3]", "messages[0]"},
    {R"([{"role": "tool", "content": "x"}])", "messages[0].role"},
    {R"([{"content": "x"}])", "messages[0].role"},
    {R"([{"role": "user"}])", "messages[0].content"},
    {R"([{"role": "user", "content": 5}])", "messages[0].content"},
    {R"([{"role": "user", "content": ["x"]}])", "messages[0].content[0]"},
    {R"([{"role": "user", "content": [{"type": "image_url"}]}])", "messages[0].content[0].type"},
    {R"([{"role": "user", "content": [{"type": "text"}]}])", "messages[0].content[0].text"},
  }));
  CHECK(wrong(parse_chat(chat_of(messages))).param == field);
}

TEST_CASE("wrong prompts are refused", "[actors][gateway]") {
  auto prompt = GENERATE(as<std::string>{}, "5", "[]", R"(["a", "b"])", "[1, 2]", R"("")", "null");
  CHECK(wrong(parse_completion(R"({"model": "cloud", "prompt": )" + prompt + "}")).param == "prompt");
}

TEST_CASE("a prompt beyond the wire's bound is refused with both numbers", "[actors][gateway]") {
  auto body = [](std::size_t n) { return R"({"model": "cloud", "prompt": ")" + std::string(n, 'x') + "\"}"; };
  good(parse_completion(body(limits::prompt_bytes)));
  auto e = wrong(parse_completion(body(limits::prompt_bytes + 1)));
  CHECK(e.param == "prompt");
  CHECK(e.message.find(std::to_string(limits::prompt_bytes + 1)) != std::string::npos);
}

TEST_CASE("a model that is no strategy is not found", "[actors][gateway]") {
  auto model = GENERATE(as<std::string>{}, "gpt-4", "virga/", "virga/virga/split", "", "Split");
  auto e = wrong(parse_completion(R"({"model": ")" + model + R"(", "prompt": "hi"})"));
  CHECK(e.status == 404);
  CHECK(e.code == "model_not_found");
}

TEST_CASE("a body that is no JSON object is refused", "[actors][gateway]") {
  auto body = GENERATE(as<std::string>{}, "", "{", "[]", "5", "{\"model\": NaN}", "{} {}", "{\"model\": \"\xff\"}",
                       R"({"prompt": "hi"})", R"({"model": 5, "prompt": "hi"})");
  CHECK(wrong(parse_completion(body)).status == 400);
}

TEST_CASE("nesting is bounded", "[actors][gateway]") {
  auto nested = [](int depth) {
    return R"({"model": "cloud", "prompt": "hi", "x": )" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  good(parse_completion(nested(60)));
  CHECK(wrong(parse_completion(nested(100'000))).status == 400);
}

TEST_CASE("a deadline in a header is digits, and long ones are cut", "[actors][gateway]") {
  CHECK(parse_deadline_ms("250") == 250u);
  CHECK(parse_deadline_ms("99999999999") == limits::deadline_ms);
  for (auto text : {"", "0", "-1", "1.5", "5s", "99999999999999999999999"})
    CHECK_FALSE(parse_deadline_ms(text));
  CHECK(good(parse_chat(chat(R"("virga": {"deadline_ms": 99999999999})"))).deadline_ms == limits::deadline_ms);
}
