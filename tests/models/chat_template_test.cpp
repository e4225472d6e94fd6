#include "models/chat_template.hpp"
#include "tests/models/support.hpp"
#include "tests/support/catch.hpp"

#include <boost/json.hpp>

#include <random>

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;
using Catch::Matchers::Contains;
namespace json = boost::json;

namespace {

std::shared_ptr<const chat_template> parsed(std::string_view source) {
  return parse_chat_template(source, R"({"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"})", "t.jinja");
}

const std::vector<chat_message> greeting{{"user", "Hello"}};

std::string rendered(std::string_view source, const std::vector<chat_message>& messages = greeting) {
  return parsed(source)->render(messages).text;
}

/// What is said of a template that cannot be read.
std::string refusal(std::string_view source) {
  return complaint([&] { parsed(source); });
}

/// What is said while a template runs.
std::string breakdown(std::string_view source) {
  try {
    return "(rendered " + rendered(source) + ")";
  } catch (const bad_chat& e) {
    return e.what();
  }
}

std::string user_parts(const rendered_chat& r) {
  std::string out;
  for (auto [begin, end] : r.user_text)
    out += "[" + r.text.substr(begin, end - begin) + "]";
  return out;
}

} // namespace

TEST_CASE("templates give the text that transformers gives", "[models][template][parity]") {
  auto all = json::parse(read_file(fixture("templates.json")));
  auto& cases = all.at("cases").as_array();
  REQUIRE(cases.size() > 150);
  for (auto& c : cases) {
    auto source = json::value_to<std::string>(all.at("sources").at(json::value_to<std::size_t>(c.at("source"))));
    auto messages = json::serialize(all.at("chats").at(json::value_to<std::size_t>(c.at("messages"))));
    chat_options how;
    how.add_generation_prompt = !c.as_object().contains("add");
    if (auto* extra = c.as_object().if_contains("extra"))
      how.extra_json = json::serialize(*extra);
    INFO(source);
    std::string text = "(an error)";
    try {
      text = parsed(source)->render(messages, how).text;
    } catch (const std::exception& e) {
      UNSCOPED_INFO(e.what());
    }
    CHECK(text == (c.at("text").is_null() ? "(an error)" : json::value_to<std::string>(c.at("text"))));
  }
}

TEST_CASE("the bytes that came out of the messages are known", "[models][template]") {
  auto parts = [](std::string_view source, const std::vector<chat_message>& messages) {
    return user_parts(parsed(source)->render(messages));
  };
  const std::vector<chat_message> two{{"user", " A<s>b "}, {"assistant", "c"}};
  CHECK(parts("<s>{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}", two) == "[user][ A<s>b ][assistant][c]");
  CHECK(parts("{{ '<s>' + messages[0].content | trim + '</s>' }}", two) == "[A<s>b]");
  CHECK(parts("{{ messages[0].content | upper }}-{{ messages[0].content[1:4] }}", two) == "[ A<S>B ][A<s]");
  CHECK(parts("{{ messages[0].content.split('<')[-1] }}<{{ messages[0].content | replace('A', '<s>') }}", two) == "[s>b ][ ][<s>b ]");
  CHECK(parts("{{ messages | tojson }}", two) == "[role][user][content][ A<s>b ][role][assistant][content][c]");
  CHECK(parts("{{ messages[0] }}", two) == "[role][user][content][ A<s>b ]");
  CHECK(parts("{% set x %}<s>{{ messages[1].content }}{% endset %}{{ x | upper }}", two) == "[C]");
  CHECK(parts("{% for c in messages[1].content %}<{{ c }}>{% endfor %}{{ messages | map(attribute='role') | join('<s>') }}", two)
        == "[c][user][assistant]");
  CHECK(parts("{{ messages | length }}<s>{{ messages[0].content == 'x' }}", two).empty());
  chat_options tools;
  tools.extra_json = R"({"tools": ["<s>"]})";
  CHECK(user_parts(parsed("<s>{{ tools[0] }}")->render(two, tools)) == "[<s>]");
}

TEST_CASE("messages as the wire has them are rendered", "[models][template]") {
  CHECK(rendered("{% for m in messages %}{{ m.role }}={{ m.content }};{% endfor %}", {{"system", "a"}, {"user", "\"b\"\n"}})
        == "system=a;user=\"b\"\n;");
  CHECK(rendered("{{ add_generation_prompt }}") == "True");
}

TEST_CASE("what is not supported is named with its line", "[models][template]") {
  CHECK_THAT(refusal("a\n{{ x | nofilter }}"), Contains("t.jinja: line 2: the filter \"nofilter\""));
  CHECK_THAT(refusal("\n\n{% include 'x' %}"), Contains("line 3: the statement \"include\""));
  CHECK_THAT(refusal("{{ x is notest }}"), Contains("the test \"notest\""));
  CHECK_THAT(refusal("{{ x.nomethod() }}"), Contains("the method .nomethod()"));
  CHECK_THAT(refusal("{{ f(*x) }}"), Contains("arguments given with *"));
  CHECK_THAT(refusal("{% for x in y recursive %}{% endfor %}"), Contains("recursive"));
  CHECK_THAT(refusal("{% if x %}"), Contains("`endif` is missing"));
  CHECK_THAT(refusal("{{ 'a }}"), Contains("a string does not end"));
  CHECK_THAT(refusal("{{ ? }}"), Contains("\"?\" means nothing here"));
  CHECK_THAT(refusal("{{ a b }}"), Contains("\"b\" is not expected here"));
  CHECK_THAT(refusal("{% endfor %}"), Contains("\"endfor\""));
  CHECK_THAT(refusal("{{ 99999999999999999999 }}"), Contains("too large"));
  CHECK_THAT(refusal("\xff"), Contains("no UTF-8"));
}

TEST_CASE("errors of a template reach the one who asked, in its words", "[models][template]") {
  CHECK(breakdown("{{ raise_exception('Roles must \"alternate\"') }}") == "Roles must \"alternate\"");
  CHECK_THAT(breakdown("{{ nothing.x }}"), Contains("nothing is undefined"));
  CHECK_THAT(breakdown("{{ 'a' + 1 }}"), Contains("a string and a whole number cannot be added"));
  CHECK_THAT(breakdown("{{ f() }}"), Contains("f is undefined"));
  CHECK_THAT(breakdown("{{ 9223372036854775807 + 1 }}"), Contains("too large"));
  auto of = [](const char* messages) {
    try {
      return parsed("x")->render(messages).text;
    } catch (const bad_chat& e) {
      return std::string(e.what());
    }
  };
  CHECK_THAT(of("[]"), Contains("at least one"));
  CHECK_THAT(of("{}"), Contains("must be a list"));
  CHECK_THAT(of("[1]"), Contains("object with a role"));
  CHECK_THAT(of("[{\"content\": \"x\"}]"), Contains("object with a role"));
  CHECK_THAT(of("[{\"role\": \"x\""), Contains("not valid JSON"));
  CHECK_THAT(of("[{\"role\": \"x\", \"role\": \"y\"}]"), Contains("stands twice"));
}

TEST_CASE("a template can neither hang nor exhaust memory or stack", "[models][template]") {
  CHECK_THAT(breakdown("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"), Contains("steps"));
  CHECK_THAT(breakdown("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"), Contains("steps"));
  CHECK_THAT(breakdown("{{ 'a' * 10000000000 }}"), Contains("steps"));
  CHECK_THAT(breakdown("{{ 'a' * 9000000000000000000 }}"), Contains("too large"));
  CHECK_THAT(breakdown("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), Contains("nests more than"));
  CHECK_THAT(breakdown("{{ range(1000000) }}"), Contains("longer than"));
  CHECK_THAT(breakdown("{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}"), Contains("nest deeper"));
  CHECK_THAT(breakdown("{% set ns = namespace(x={}) %}{% for i in range(9999) %}{% set ns.x = {'x': ns.x} %}{% endfor %}"), Contains("nest deeper"));
  CHECK_THAT(breakdown("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}"), Contains("cannot be put into"));
  CHECK_THAT(breakdown("{% set ns = namespace() %}{% set x = [ns] %}"), Contains("cannot be put into"));
  auto many = [](const std::string& s, int n) {
    std::string out;
    for (int i = 0; i < n; ++i)
      out += s;
    return out;
  };
  CHECK_THAT(refusal("{{ " + many("(", 500) + "1" + many(")", 500) + " }}"), Contains("nests more than"));
  CHECK_THAT(refusal("{{ " + many("[", 500) + "1" + many("]", 500) + " }}"), Contains("nests more than"));
  CHECK_THAT(refusal("{{ 1" + many(" + 1", 5000) + " }}"), Contains("more than"));
  CHECK_THAT(refusal("{{ 1" + many(" | string", 5000) + " }}"), Contains("more than"));
  CHECK_THAT(refusal("{{ x" + many(".y", 5000) + " }}"), Contains("more than"));
  CHECK_THAT(refusal(many("{% if x %}", 5000)), Contains("blocks are open"));
  CHECK_THAT(refusal("{% if x %}" + many("{% elif x %}", 5000)), Contains("more than"));
  CHECK(rendered("{{ 1" + many(" + 1", 900) + " }}") == "901");
  CHECK(rendered("{{ " + many("(2 if ", 60) + "1" + many(" else 0)", 60) + " }}") == "2");
  CHECK(rendered("{{ " + many("not ", 10001) + "1 }}") == "False");
  auto deep = "{% macro f(n) %}{{ 1" + many(" + (1", 90) + " + (f(n - 1) | length)" + many(")", 90) + " if n > 0 else 0 }}{% endmacro %}{{ f(99) }}";
  CHECK_THAT(breakdown(deep), Contains("too deeply"));
}

TEST_CASE("a folder's template is found where transformers looks", "[models][template]") {
  scratch dir;
  CHECK(load_chat_template(dir / ".") == nullptr);
  write_file(dir / "tokenizer_config.json", "{\"bos_token\": \"<b>\"}");
  CHECK(load_chat_template(dir / ".") == nullptr);
  auto text = [&] { return load_chat_template(dir / ".")->render(greeting).text; };
  write_file(dir / "tokenizer_config.json", R"({"bos_token": {"content": "<b>", "lstrip": false}, "chat_template": "{{ bos_token }}1"})");
  CHECK(text() == "<b>1");
  write_file(dir / "special_tokens_map.json", R"({"bos_token": "<other>", "eos_token": "<e>"})");
  write_file(dir / "tokenizer_config.json",
             R"({"bos_token": "<b>", "eos_token": null, "chat_template": [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "{{ bos_token }}{{ eos_token }}2"}]})");
  CHECK(text() == "<b><e>2");
  write_file(dir / "chat_template.jinja", "{{ bos_token }}3\n");
  CHECK(text() == "<b>3");
  write_file(dir / "chat_template.jinja", "{{");
  CHECK_THAT(complaint([&] { load_chat_template(dir / "."); }), Contains("chat_template.jinja"));
  fs::remove(dir / "chat_template.jinja");
  for (auto bad : {"{\"chat_template\": 3}", "{\"chat_template\": [{\"name\": \"x\", \"template\": \"y\"}]}", "{", "{\"bos_token\": 3, \"chat_template\": \"x\"}"}) {
    write_file(dir / "tokenizer_config.json", bad);
    CHECK_THAT(complaint([&] { load_chat_template(dir / "."); }), Contains("tokenizer_config.json"));
  }
}

TEST_CASE("a template with any byte changed is read or refused, and ends", "[models][template]") {
  auto all = json::parse(read_file(fixture("templates.json")));
  std::mt19937 random(11);
  int refused = 0, ran = 0;
  for (int i = 0; i < 3000; ++i) {
    auto& sources = all.at("sources").as_array();
    auto source = json::value_to<std::string>(sources[random() % sources.size()]);
    for (auto n = random() % 3 + 1; n > 0; --n)
      source[random() % source.size()] = "{}%#'\"()[].|-x0 \n"[random() % 17];
    try {
      rendered(source);
      ++ran;
    } catch (const bad_model&) {
      ++refused;
    } catch (const bad_chat&) {
      ++ran;
    }
  }
  CHECK(refused > 200);
  CHECK(ran > 200);
}
