#include "messages/limits.hpp"
#include "messages/type_ids.hpp"
#include "tests/support/catch.hpp"

#include <caf/exit_reason.hpp>
#include <caf/expected.hpp>
#include <caf/sec.hpp>

using namespace virga;

TEST_CASE("an error carries code, detail and text", "[messages][type_ids]") {
  auto e = make_error(ec::stale_position, "base 9 lies beyond the cache", 7);
  CHECK(e == ec::stale_position);
  CHECK(e != ec::stale_epoch);
  CHECK(code_of(e) == ec::stale_position);
  CHECK(detail_of(e) == 7);
  CHECK(text_of(e) == "base 9 lies beyond the cache");
  CHECK(render_error(e.code(), e.category(), e.context()) == "virga: stale_position: base 9 lies beyond the cache (7)");
}

TEST_CASE("no error is none", "[messages][type_ids]") {
  CHECK_FALSE(make_error(ec::none, "all is well"));
  CHECK(caf::error{} == ec::none);
  CHECK(detail_of(caf::error{}) == 0);
  CHECK(text_of(caf::error{}).empty());
}

TEST_CASE("a bare code is an error without detail and text", "[messages][type_ids]") {
  caf::expected<int> answer = ec::cancelled;
  REQUIRE_FALSE(answer);
  CHECK(answer.error() == ec::cancelled);
  CHECK(detail_of(answer.error()) == 0);
  CHECK(text_of(answer.error()).empty());
  CHECK(render_error(2, caf::atom("virga"), {}) == "virga: cancelled");
}

TEST_CASE("errors of CAF become the nearest code", "[messages][type_ids]") {
  CHECK(code_of(make_error(caf::sec::request_receiver_down)) == ec::peer_unreachable);
  CHECK(code_of(make_error(caf::sec::cannot_connect_to_node)) == ec::peer_unreachable);
  CHECK(code_of(make_error(caf::sec::request_timeout)) == ec::deadline_exceeded);
  CHECK(code_of(make_error(caf::sec::unexpected_message)) == ec::internal);
  CHECK(code_of(make_error(caf::exit_reason::remote_link_unreachable)) == ec::peer_unreachable);
  CHECK(code_of(make_error(caf::exit_reason::user_shutdown)) == ec::shutting_down);
  CHECK_FALSE(text_of(make_error(caf::sec::request_timeout)).empty());
}

TEST_CASE("an error survives the way over the wire, its text cut to the limit", "[messages][type_ids]") {
  auto f = to_failure(make_error(ec::queue_full, std::string(limits::text_bytes + 1, 'x'), 250));
  CHECK(f.code == ec::queue_full);
  CHECK(f.detail == 250);
  CHECK(f.text.size() == limits::text_bytes);
  CHECK(to_error(f) == ec::queue_full);
  CHECK(detail_of(to_error(f)) == 250);
}
