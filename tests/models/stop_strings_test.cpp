#include "models/stop_strings.hpp"
#include "tests/support/catch.hpp"

#include <random>

using virga::models::stop_strings;

namespace {

struct outcome {
  std::string text;
  bool stopped = false;
};

outcome feed(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  stop_strings s(stops);
  outcome o;
  for (auto& p : pieces) {
    auto r = s.push(p);
    o.text += r.text;
    o.stopped = r.stopped;
  }
  o.text += s.finish();
  return o;
}

} // namespace

TEST_CASE("a stop string ends the text, also across pieces", "[models][stop]") {
  CHECK(feed({"END"}, {"one EN", "D two"}).text == "one ");
  CHECK(feed({"END"}, {"E", "N", "D"}).text == "");
  CHECK(feed({"END"}, {"E", "N", "EEND"}).text == "ENE");
  CHECK(feed({"\n\n", "User:"}, {"a\n", "Us", "er", ": b"}).text == "a\n");
  CHECK(feed({"aab"}, {"aaa", "ab"}).text == "aa");
  CHECK(feed({}, {"one", "two"}).text == "onetwo");
  CHECK(feed({""}, {"one"}).text == "one");
}

TEST_CASE("what is begun is shown when it turns out to be none, and at the end", "[models][stop]") {
  stop_strings s({"END"});
  CHECK(s.push("a E").text == "a ");
  CHECK(s.push("N").text == "");
  CHECK(s.push("x").text == "ENx");
  CHECK(s.push("E").text == "");
  CHECK(s.finish() == "E");
  CHECK(s.finish() == "");
}

TEST_CASE("of several stop strings the one that begins first ends the text", "[models][stop]") {
  CHECK(feed({"cd", "bcde"}, {"abcdef"}).text == "a");
  CHECK(feed({"cd", "bcde"}, {"ab", "c", "d", "e"}).text == "ab");  // "cd" is complete before "bcde" is
  auto o = feed({"x"}, {"axb", "c", "x"});
  CHECK(o.text == "a");
  CHECK(o.stopped);
}

TEST_CASE("any cut into pieces shows the text up to the first stop string", "[models][stop]") {
  std::mt19937 random(5);
  for (int round = 0; round < 3000; ++round) {
    auto word = [&](std::size_t longest) {
      std::string s;
      for (auto n = 1 + random() % longest; n > 0; --n)
        s += static_cast<char>('a' + random() % 2);
      return s;
    };
    auto stop = word(4), text = word(30);
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < text.size();) {
      auto n = 1 + random() % 5;
      pieces.push_back(text.substr(at, n));
      at += n;
    }
    auto o = feed({stop}, pieces);
    INFO(text << " until " << stop);
    CHECK(o.text == text.substr(0, text.find(stop)));
    CHECK(o.stopped == (text.find(stop) != std::string::npos));
  }
}
