#include "models/hf/tok/utf8.hpp"
#include "models/tokenizer.hpp"
#include "tests/models/support.hpp"
#include "tests/support/catch.hpp"

#include <boost/json.hpp>

#include <random>

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;
using Catch::Matchers::Contains;

namespace {

/// The fixture's tokenizer.json in a folder of its own, one place changed.
struct edited {
  scratch dir;
  edited(const std::string& from, const std::string& to) {
    fs::copy_file(fixture("tokenizer/tokenizer.json"), dir / "tokenizer.json");
    edit_file(dir / "tokenizer.json", from, to);
  }
  std::shared_ptr<const tokenizer> load() const { return load_tokenizer(dir / "."); }
};

std::string complaint_after(const std::string& from, const std::string& to) {
  edited e(from, to);
  auto said = complaint([&] { e.load(); });
  CHECK_THAT(said, Contains("tokenizer.json"));
  return said;
}

std::vector<token_id> ids(const boost::json::value& v) { return boost::json::value_to<std::vector<token_id>>(v); }

} // namespace

TEST_CASE("texts become what the tokenizers library makes of them", "[models][tokenizer]") {
  auto tok = load_tokenizer(fixture("tokenizer"));
  auto cases = boost::json::parse(read_file(fixture("tokenizer.expected.json"))).as_array();
  REQUIRE(cases.size() > 5);
  for (auto& c : cases) {
    std::string text(c.at("text").as_string());
    INFO(text);
    CHECK(tok->encode(text, {false}) == ids(c.at("ids")));
    CHECK(tok->encode(text) == ids(c.at("with_special")));
    CHECK(tok->decode(ids(c.at("ids"))) == c.at("decoded").as_string());
  }
}

TEST_CASE("special tokens written in a text stay text", "[models][tokenizer]") {
  auto tok = load_tokenizer(fixture("tokenizer"));
  CHECK(tok->encode("a <eos> b <bos>", {false}) == std::vector<token_id>{8, 0, 9, 0});
  CHECK(tok->decode(std::vector<token_id>{1, 8, 2, 9}) == "a b");
  CHECK(tok->id_of("<eos>") == token_id{2});
  CHECK_FALSE(tok->id_of("<none>"));
  CHECK(tok->vocab_size() == 12);
}

TEST_CASE("a word outside a vocabulary without unknown token is refused", "[models][tokenizer]") {
  auto tok = edited("\"unk_token\": \"<unk>\"", "\"unk_token\": \"<nothing>\"").load();
  CHECK(tok->encode("a", {false}) == std::vector<token_id>{8});
  CHECK_THROWS_WITH(tok->encode("a zebra", {false}), Contains("zebra"));
  CHECK_THROWS_AS(tok->encode("a zebra", {false}), bad_segment);
  CHECK_THROWS_AS(tok->encode("a <eos>", {false}), bad_segment);
}

TEST_CASE("unknown ids are refused", "[models][tokenizer]") {
  auto tok = load_tokenizer(fixture("tokenizer"));
  CHECK_THROWS_AS(tok->decode(std::vector<token_id>{12}), bad_segment);
  CHECK_THROWS_AS(tok->decode(std::vector<token_id>{UINT32_MAX}), bad_segment);
}

TEST_CASE("a text that is no UTF-8 is refused, naming the byte", "[models][tokenizer]") {
  for (auto name : {"tokenizer", "tokenizers/gpt2", "tokenizers/llama2"}) {
    auto tok = load_tokenizer(fixture(name));
    for (std::string tail : {"\xff", "\xe2\x80", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe3\x80x"}) {
      CHECK_THROWS_WITH(tok->encode("ab " + tail), Contains("no UTF-8 from byte 3"));
      CHECK_THROWS_AS(tok->encode(tail), bad_segment);
    }
  }
}

TEST_CASE("the pieces of a stream make the whole text, and each is UTF-8", "[models][tokenizer]") {
  std::mt19937 random(3);
  for (auto name : {"tokenizer", "tokenizers/gpt2", "tokenizers/llama2", "tokenizers/metaspace-first", "tokenizers/unknown"}) {
    auto tok = load_tokenizer(fixture(name));
    for (int round = 0; round < 20; ++round) {
      auto stream = tok->stream();
      std::vector<token_id> all;
      std::string text;
      for (int i = 0; i < 30; ++i) {
        auto id = static_cast<token_id>(random() % tok->vocab_size());
        if (!tok->has(id))
          continue;
        all.push_back(id);
        auto piece = stream->push(id);
        CHECK(hf::tok::first_broken_byte(piece) == std::string::npos);
        text += piece;
      }
      text += stream->finish();
      CHECK(text == tok->decode(all));
    }
  }
}

TEST_CASE("a stream holds back half a character until the rest comes", "[models][tokenizer]") {
  auto tok = load_tokenizer(fixture("tokenizers/gpt2"));
  auto byte = [&](const char* printed) { return tok->id_of(printed).value(); };
  auto stream = tok->stream();
  CHECK(stream->push(byte("a")) == "a");
  CHECK(stream->push(byte("é")) == "");     // 雨 is E9 9B A8
  CHECK(stream->push(byte("Ľ")) == "");
  CHECK(stream->push(byte("¨")) == "雨");
  CHECK(stream->push(byte("ð")) == "");     // the beginning of an emoji
  CHECK(stream->push(UINT32_MAX) == "");    // no token: no text
  CHECK(stream->finish() == "\xef\xbf\xbd");
}

TEST_CASE("a run of byte tokens is text when all of it is UTF-8", "[models][tokenizer]") {
  auto tok = load_tokenizer(fixture("tokenizers/llama2"));
  auto id = [&](const char* token) { return tok->id_of(token).value(); };
  auto stream = tok->stream();
  CHECK(stream->push(id("▁a")) == "a");
  for (auto byte : {"<0xE9>", "<0x9B>", "<0xA8>"})
    CHECK(stream->push(id(byte)) == "");
  CHECK(stream->push(id("a")) == "雨a");
  CHECK(stream->push(id("<0xE9>")) == "");
  CHECK(stream->push(id("a")) == "\xef\xbf\xbd" "a");
}

TEST_CASE("kinds that are not built are refused by name", "[models][tokenizer]") {
  CHECK_THAT(complaint_after("\"type\": \"WordLevel\"", "\"type\": \"Unigram\""), Contains("\"Unigram\""));
  CHECK_THAT(complaint_after("\"WhitespaceSplit\"", "\"BertPreTokenizer\""), Contains("\"BertPreTokenizer\""));
  CHECK_THAT(complaint_after("\"normalizer\": null", "\"normalizer\": {\"type\":\"Nmt\"}"), Contains("\"Nmt\""));
  CHECK_THAT(complaint_after("\"decoder\": null", "\"decoder\": {\"type\":\"WordPiece\"}"), Contains("\"WordPiece\""));
  CHECK_THAT(complaint_after("\"TemplateProcessing\"", "\"BertProcessing\""), Contains("\"BertProcessing\""));
  for (auto expression : {"(", "[a", "\\\\h", "[[a]b]", "[a&&b]", "[\\\\W]"})
    CHECK_THAT(complaint_after("\"normalizer\": null", std::string("\"normalizer\": {\"type\": \"Replace\", \"content\": \"\", \"pattern\": {\"Regex\": \"")
                                                           + expression + "\"}}"),
               Contains("the expression"));
}

TEST_CASE("a damaged tokenizer file is refused with a sentence", "[models][tokenizer]") {
  CHECK_THAT(complaint_after("{", "["), Contains("not valid JSON"));
  CHECK_THAT(complaint_after("\"der\": 3", "\"der\": 4"), Contains("the id 4 has two tokens"));
  CHECK_THAT(complaint_after("\"der\": 3", "\"a\": 3"), Contains("\"a\" stands twice"));
  CHECK_THAT(complaint_after("\"der\": 3", "\"der\": -3"), Contains("must be a whole number"));
  CHECK_THAT(complaint_after("\"der\": 3", "\"der\": 4000000000"), Contains("4000000000"));
  CHECK_THAT(complaint_after("\"der\": 3", "\"der\": \"3\""), Contains("must be a whole number"));
  CHECK_THAT(complaint_after("\"vocab\"", "\"words\""), Contains("\"vocab\" is missing"));
  CHECK_THAT(complaint_after("\"content\": \"<mark>\"", "\"content\": \"\""), Contains("has no text"));
  CHECK_THAT(complaint_after("\"content\": \"<mark>\"", "\"content\": \"<eos>\""), Contains("two ids"));
  scratch empty;
  CHECK_THAT(complaint([&] { load_tokenizer(empty / "."); }), Contains("cannot be read"));
}

TEST_CASE("damaged merges and tokens that cannot be written are refused", "[models][tokenizer]") {
  auto after = [](const std::string& from, const std::string& to) {
    auto text = read_file(fixture("tokenizers/llama2/tokenizer.json"));
    auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    return complaint([&] { parse_tokenizer(text, "tokenizer.json"); });
  };
  CHECK_THAT(after("\"merges\":[", "\"merges\":[[\"a\"],"), Contains("is no pair of tokens"));
  CHECK_THAT(after("\"merges\":[", "\"merges\":[\"ab\","), Contains("is no pair of tokens"));
  CHECK_THAT(after("\"merges\":[", "\"merges\":[\"a zebra\","), Contains("\"zebra\" is not in the vocabulary"));
  CHECK_THAT(after("\"merges\":[", "\"merges\":3,\"x\":["), Contains("must be a list"));
  CHECK_THAT(after("\"dropout\":null", "\"dropout\":0.1"), Contains("dropout"));
  CHECK_THAT(after("\"end_of_word_suffix\":null", "\"end_of_word_suffix\":\"</w>\""), Contains("end_of_word_suffix"));
  CHECK(after("\"merges\":[", "\"merges\":[\"▁ a\",").empty());
}

TEST_CASE("what cannot be tokenised in time is refused", "[models][tokenizer]") {
  auto tok = load_tokenizer(fixture("families/qwen2"));
  std::string marks = "a";
  for (int i = 0; i < 1001; ++i)
    marks += "\u0301";
  CHECK_THROWS_WITH(tok->encode(marks), Contains("combining marks"));
  CHECK(tok->encode(marks.substr(0, 1001)).size() > 500);
  auto slow = parse_tokenizer(R"({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"},
      "pre_tokenizer": {"type": "Split", "behavior": "Isolated", "pattern": {"Regex": "(a|aa)+c"}}})", "tokenizer.json");
  CHECK_THROWS_WITH(slow->encode(std::string(60, 'a') + "bc"), Contains("gave up"));
}

TEST_CASE("a tokenizer file with any byte changed is read or refused", "[models][tokenizer]") {
  auto good = read_file(fixture("tokenizer/tokenizer.json"));
  scratch dir;
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 500; ++i) {
    auto bad = good;
    bad[random() % bad.size()] = static_cast<char>(random());
    write_file(dir / "tokenizer.json", bad);
    refused += !complaint([&] { load_tokenizer(dir / "."); }).empty();
  }
  CHECK(refused > 100);
}
