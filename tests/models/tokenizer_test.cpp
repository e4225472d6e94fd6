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
  CHECK(tok->decode({1, 8, 2, 9}) == "a b");
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
  CHECK_THROWS_AS(tok->decode({12}), bad_segment);
  CHECK_THROWS_AS(tok->decode({UINT32_MAX}), bad_segment);
}

TEST_CASE("bytes that are no UTF-8 are an unknown word", "[models][tokenizer]") {
  auto tok = load_tokenizer(fixture("tokenizer"));
  CHECK(tok->encode("a \xff\xe2\x80 b \xe3\x80", {false}) == std::vector<token_id>{8, 0, 9, 0});
}

TEST_CASE("the pieces of a stream make the whole text", "[models][tokenizer]") {
  auto tok = load_tokenizer(fixture("tokenizer"));
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    text_stream stream(tok);
    std::vector<token_id> all;
    std::string text;
    for (int i = 0; i < 30; ++i) {
      all.push_back(random() % 12);
      text += stream.push(all.back());
    }
    text += stream.finish();
    CHECK(text == tok->decode(all));
  }
}

TEST_CASE("a stream holds back half a character until the rest comes", "[models][tokenizer]") {
  struct bytes final : tokenizer {
    std::vector<token_id> encode(std::string_view, const encode_options&) const override { return {}; }
    std::string decode(const std::vector<token_id>& v, bool) const override { return {v.begin(), v.end()}; }
    std::uint32_t vocab_size() const override { return 256; }
    std::optional<token_id> id_of(std::string_view) const override { return {}; }
  };
  text_stream stream(std::make_shared<bytes>());
  CHECK(stream.push('a') == "a");
  CHECK(stream.push(0xe9) == "");
  CHECK(stream.push(0x9b) == "");
  CHECK(stream.push(0xa8) == "雨");
  CHECK(stream.push(0xf0) == "");
  CHECK(stream.finish() == "\xf0");
  CHECK(stream.finish() == "");
}

TEST_CASE("kinds that are not built are refused by name", "[models][tokenizer]") {
  CHECK_THAT(complaint_after("\"type\": \"WordLevel\"", "\"type\": \"BPE\""), Contains("\"BPE\""));
  CHECK_THAT(complaint_after("\"WhitespaceSplit\"", "\"ByteLevel\""), Contains("\"ByteLevel\""));
  CHECK_THAT(complaint_after("\"normalizer\": null", "\"normalizer\": {\"type\":\"NFC\"}"), Contains("\"NFC\""));
  CHECK_THAT(complaint_after("\"decoder\": null", "\"decoder\": {\"type\":\"WordPiece\"}"), Contains("\"WordPiece\""));
  CHECK_THAT(complaint_after("\"TemplateProcessing\"", "\"BertProcessing\""), Contains("\"BertProcessing\""));
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
