#include "messages/types.hpp"
#include "tests/support/catch.hpp"

#include <set>

using namespace virga;

template <class Enum>
static std::set<std::string_view> names(std::uint8_t count) {
  std::set<std::string_view> all;
  for (std::uint8_t i = 0; i < count; ++i)
    all.insert(to_string(static_cast<Enum>(i)));
  return all;
}

TEST_CASE("every value of every enum has a name of its own, and no other number has one", "[messages][types]") {
  CHECK(names<ec>(ec_count).size() == ec_count);
  CHECK(names<role>(role_count).size() == role_count);
  CHECK(names<strategy>(strategy_count).size() == strategy_count);
  CHECK(names<dtype>(dtype_count).size() == dtype_count);
  CHECK(names<finish_reason>(3).size() == 3);
  CHECK(names<ec>(ec_count).count("unknown") == 0);
  CHECK(to_string(static_cast<ec>(ec_count)) == "unknown");
  CHECK(to_string(static_cast<role>(255)) == "unknown");
  CHECK(to_string(static_cast<strategy>(strategy_count)) == "unknown");
  CHECK(to_string(static_cast<dtype>(7)) == "unknown");
  CHECK(to_string(static_cast<finish_reason>(3)) == "unknown");
}

TEST_CASE("the names stand at their numbers", "[messages][types]") {
  CHECK(to_string(ec::none) == "none");
  CHECK(to_string(ec::stale_position) == "stale_position");
  CHECK(to_string(ec::bad_tensor) == "bad_tensor");
  CHECK(to_string(ec::internal) == "internal");
  CHECK(to_string(role::session_host) == "session_host");
  CHECK(to_string(role::context_manager) == "context_manager");
  CHECK(to_string(strategy::early_exit) == "early-exit");
  CHECK(to_string(strategy::auto_) == "auto");
  CHECK(to_string(dtype::bf16) == "bf16");
  CHECK(to_string(finish_reason::length) == "length");
}

TEST_CASE("an element has the size of its dtype", "[messages][types]") {
  CHECK(size_of(dtype::f64) == 8);
  CHECK(size_of(dtype::f32) == 4);
  CHECK(size_of(dtype::bf16) == 2);
  CHECK(size_of(dtype::f16) == 2);
  CHECK(size_of(dtype::i8_rows) == 1);
}

TEST_CASE("a session id is written as 32 hexadecimal digits", "[messages][types]") {
  CHECK(to_string(session_id{0x0123456789abcdef, 0xfedcba9876543210}) == "0123456789abcdeffedcba9876543210");
  CHECK(to_string(session_id{0, 1}) == "00000000000000000000000000000001");
}
