#include "deploy/restart_policy.hpp"
#include "tests/support/catch.hpp"

using namespace virga;
using namespace virga::deploy;
using namespace std::chrono_literals;

TEST_CASE("a node that dies is started again, each time a little later", "[deploy][keeper]") {
  restart_policy policy({3, 30s});
  restart_policy::clock::time_point now{};
  CHECK(policy.ended(now) == now + 100ms);
  CHECK(policy.ended(now + 1s) == now + 1s + 200ms);
  CHECK(policy.ended(now + 2s) == now + 2s + 400ms);
}

TEST_CASE("a node that dies more often than allowed is given up", "[deploy][keeper]") {
  restart_policy policy({2, 30s});
  restart_policy::clock::time_point now{};
  CHECK(policy.ended(now));
  CHECK(policy.ended(now + 1s));
  CHECK_FALSE(policy.ended(now + 2s));
}

TEST_CASE("deaths outside the window are forgiven", "[deploy][keeper]") {
  restart_policy policy({1, 30s});
  restart_policy::clock::time_point now{};
  CHECK(policy.ended(now));
  CHECK(policy.ended(now + 31s) == now + 31s + 100ms);
  CHECK_FALSE(policy.ended(now + 32s));
}

TEST_CASE("with no restarts allowed the first death is the last", "[deploy][keeper]") {
  restart_policy policy({0, 30s});
  CHECK_FALSE(policy.ended({}));
}
