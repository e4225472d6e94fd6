// A child that answers lines, and what is said when it does not.
#include "deploy/bench/line_process.hpp"
#include "deploy/failures.hpp"
#include "tests/support/catch.hpp"

#include <cerrno>
#include <csignal>
#include <optional>

using namespace virga::deploy;
using namespace std::chrono_literals;

namespace {

std::string complaint(auto&& act) {
  try {
    act();
    return "";
  } catch (const failed& e) {
    return e.what();
  }
}

} // namespace

TEST_CASE("a child's lines come one by one, however it writes them", "[deploy][bench]") {
  line_process p("the child", {"sh", "-c", "printf 'ready\\nmore\\nha'; printf 'lf\\n'; while read -r a b; do echo \"$b $a $COLOUR\"; done"},
                 {{"COLOUR", "blue"}});
  CHECK(p.hear(10s) == "ready");
  CHECK(p.hear(10s) == "more");
  CHECK(p.hear(10s) == "half");
  CHECK(p.ask("one two", 10s) == "two one blue");
  CHECK(p.ask("three four", 10s) == "four three blue");
}

TEST_CASE("a child that ends, is silent or cannot start is named", "[deploy][bench]") {
  line_process ends("the child", {"sh", "-c", "echo ready"}, {});
  CHECK(ends.hear(10s) == "ready");
  CHECK(complaint([&] { ends.hear(10s); }) == "the child ended; what it said stands above");
  line_process silent("the child", {"sh", "-c", "sleep 60"}, {});
  CHECK(complaint([&] { silent.hear(1s); }) == "the child said nothing for 1 s");
  CHECK(complaint([] { line_process("the child", {"no-such-program"}, {}); })
        == "the child cannot be started: no-such-program: No such file or directory");
}

TEST_CASE("a child ends with its line_process", "[deploy][bench]") {
  std::optional<line_process> p;
  p.emplace("the child", std::vector<std::string>{"sh", "-c", "echo ready; sleep 60"}, std::map<std::string, std::string>{});
  p->hear(10s);
  auto pid = p->pid();
  CHECK(::kill(pid, 0) == 0);
  p.reset();
  CHECK(::kill(pid, 0) == -1);
  CHECK(errno == ESRCH);
}
