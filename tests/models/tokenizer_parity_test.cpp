// The tokenizers library's ids and texts, for each form of tokenizer.json (tests/parity/make_tokenizer_fixtures.py).
#include "models/tokenizer.hpp"
#include "tests/models/support.hpp"
#include "tests/support/catch.hpp"

#include <boost/json.hpp>

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;
namespace json = boost::json;

namespace {

struct expectations {
  json::value all = json::parse(read_file(fixture("tokenizers/expected.json")));
  std::vector<std::string> corpus = json::value_to<std::vector<std::string>>(all.at("corpus"));
};

std::vector<token_id> ids(const json::value& v) { return json::value_to<std::vector<token_id>>(v); }
std::string text(const json::value& v) { return json::value_to<std::string>(v); }

std::string streamed(const tokenizer& tok, const std::vector<token_id>& all, bool skip_special) {
  auto stream = tok.stream(skip_special);
  std::string out;
  for (auto id : all)
    out += stream->push(id);
  return out + stream->finish();
}

} // namespace

TEST_CASE("every form of tokenizer gives the ids of the tokenizers library", "[models][tokenizer][parity]") {
  expectations e;
  REQUIRE(e.corpus.size() > 50);
  for (auto& [name, cases] : e.all.at("tokenizers").as_object()) {
    auto tok = load_tokenizer(fixture(std::string(name)));
    for (std::size_t i = 0; i < e.corpus.size(); ++i) {
      INFO(name << ": " << e.corpus[i]);
      CHECK(tok->encode(e.corpus[i], {false, true}) == ids(cases.at("parsed").at(i)));
      CHECK(tok->encode(e.corpus[i], {true, true}) == ids(cases.at("with_special").at(i)));
      CHECK(tok->encode(e.corpus[i], {false, false}) == ids(cases.at("kept").at(i)));
    }
  }
}

TEST_CASE("every form of tokenizer gives the texts of the tokenizers library", "[models][tokenizer][parity]") {
  expectations e;
  for (auto& [name, cases] : e.all.at("tokenizers").as_object()) {
    auto tok = load_tokenizer(fixture(std::string(name)));
    for (std::size_t i = 0; i < e.corpus.size(); ++i) {
      INFO(name << ": " << e.corpus[i]);
      CHECK(tok->decode(ids(cases.at("kept").at(i))) == text(cases.at("decoded").at(i)));
    }
    for (auto& c : cases.at("random").as_array()) {
      INFO(name << ": " << json::serialize(c.at("ids")));
      CHECK(tok->decode(ids(c.at("ids"))) == text(c.at("text")));
      CHECK(streamed(*tok, ids(c.at("ids")), false) == text(c.at("all")));
    }
  }
}

TEST_CASE("special tokens in literal ranges stay text, others do not", "[models][tokenizer]") {
  expectations e;
  for (auto& [name, cases] : e.all.at("tokenizers").as_object()) {
    auto tok = load_tokenizer(fixture(std::string(name)));
    for (std::size_t i = 0; i < e.corpus.size(); ++i) {
      INFO(name << ": " << e.corpus[i]);
      CHECK(tok->encode(e.corpus[i], {false, true, {{0, e.corpus[i].size()}}}) == ids(cases.at("kept").at(i)));
      CHECK(tok->encode(e.corpus[i], {false, true, {{e.corpus[i].size(), e.corpus[i].size()}}})
            == ids(cases.at("parsed").at(i)));
    }
  }
  for (auto name : {"tokenizers/llama2", "tokenizers/llama2-normalized"}) {
    auto tok = load_tokenizer(fixture(name));
    auto count = [&](const encode_options& how) {
      auto all = tok->encode("<s> a <s> b <s>", how);
      return std::count(all.begin(), all.end(), 1u);
    };
    INFO(name);
    CHECK(count({false, true}) == 3);
    CHECK(count({false, true, {{5, 10}}}) == 2);
    CHECK(count({false, true, {{7, 8}}}) == 2);
    CHECK(count({false, true, {{2, 3}, {12, 13}}}) == 1);
  }
}
