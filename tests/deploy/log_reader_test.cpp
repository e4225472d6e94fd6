#include "deploy/log_reader.hpp"
#include "tests/deploy/scratch.hpp"
#include "tests/support/catch.hpp"

#include <fstream>

using namespace virga::deploy;

namespace {

void append(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::app | std::ios::binary) << text;
}

std::string at(int second, const std::string& text) {
  return "[2026-11-29 07:50:0" + std::to_string(second) + ".000] [info] " + text;
}

} // namespace

TEST_CASE("a log is followed entry by entry, whole lines only", "[deploy]") {
  scratch folder;
  auto file = folder.path / "edge-1.log";
  log_file log(file, 1000);
  CHECK(log.read().empty());
  append(file, at(1, "one") + "\n" + at(2, "two") + "\n  more of two\n" + at(3, "thr"));
  auto first = log.read();
  REQUIRE(first.size() == 2);
  CHECK(first[0].node == "edge-1");
  CHECK(first[1].text == at(2, "two") + "\n  more of two");
  CHECK(log.read().empty());
  append(file, "ee\n");
  auto second = log.read();
  REQUIRE(second.size() == 1);
  CHECK(second[0].text == at(3, "three"));
  std::ofstream(file) << at(4, "anew") << "\n";
  REQUIRE(log.read().size() == 1);
}

TEST_CASE("of a long log its end is read, from a whole line on", "[deploy]") {
  scratch folder;
  auto file = folder.path / "edge-1.log";
  for (int i = 0; i < 9; ++i)
    append(file, at(i, "line") + "\n");
  log_file log(file, 100);
  auto entries = log.read();
  REQUIRE(entries.size() == 2);
  CHECK(entries[1].text == at(8, "line"));
}

TEST_CASE("logs are merged by time, and each node's own order stays", "[deploy]") {
  auto all = merged({{{"a", at(1, "first")}, {"a", at(4, "fourth")}}, {{"b", at(2, "second")}, {"b", "no time"}, {"b", at(3, "third")}}});
  REQUIRE(all.size() == 5);
  CHECK(all[0].text == at(1, "first"));
  CHECK(all[1].text == at(2, "second"));
  CHECK_THAT(all[2].text, Catch::Matchers::Contains("no time"));
  CHECK(all[3].text == at(3, "third"));
  CHECK(all[4].node == "a");
}
