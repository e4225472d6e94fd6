#include "models/batch_policy.hpp"
#include "tests/support/catch.hpp"

using namespace virga::models;

namespace {

constexpr std::uint64_t plenty = 1u << 30;

waiting_segment decode(std::uint64_t seq) { return {seq, 1, 10, 0}; }
waiting_segment chunk(std::uint64_t seq, std::uint32_t rows) { return {seq, rows, rows * 10u, 0}; }

using picks = std::vector<std::size_t>;

} // namespace

TEST_CASE("everything that fits runs in one batch, decodes before prefill", "[models][batch_policy]") {
  std::vector<waiting_segment> w{chunk(1, 100), decode(2), chunk(3, 50), decode(4)};
  CHECK(batch_policy{{}}.choose(w, plenty) == picks{1, 3, 0, 2});
  CHECK(batch_policy{{}}.choose({}, plenty).empty());
}

TEST_CASE("a sequence has at most one segment in a batch, its oldest", "[models][batch_policy]") {
  std::vector<waiting_segment> w{chunk(1, 100), decode(1), decode(2), decode(2)};
  CHECK(batch_policy{{}}.choose(w, plenty) == picks{2, 0});
}

TEST_CASE("prefill chunks fill what the decodes leave of the row budget", "[models][batch_policy]") {
  std::vector<waiting_segment> w{chunk(1, 60), chunk(2, 60), decode(3), chunk(4, 39)};
  CHECK(batch_policy{{.rows = 100}}.choose(w, plenty) == picks{2, 0, 3});
}

TEST_CASE("a segment longer than the row budget runs alone", "[models][batch_policy]") {
  std::vector<waiting_segment> w{chunk(1, 500), chunk(2, 20)};
  CHECK(batch_policy{{.rows = 100}}.choose(w, plenty) == picks{0});
}

TEST_CASE("what was passed over too often goes ahead of the decodes", "[models][batch_policy]") {
  std::vector<waiting_segment> w{decode(1), decode(2), chunk(3, 100)};
  w[2].passed_over = 7;
  CHECK(batch_policy{{.rows = 100}}.choose(w, plenty) == picks{0, 1});
  w[2].passed_over = 8;
  CHECK(batch_policy{{.rows = 100}}.choose(w, plenty) == picks{2});
}

TEST_CASE("no prefill starves under endless decodes", "[models][batch_policy]") {
  std::vector<waiting_segment> w;
  for (std::uint64_t s = 0; s < 10; ++s)
    w.push_back(decode(s));
  w.push_back(chunk(99, 95));
  const batch_policy policy{{.rows = 100}};
  int steps = 0;
  for (bool ran = false; !ran; ++steps) {
    REQUIRE(steps < 20);
    for (auto i : policy.choose(w, plenty))
      ran = ran || i == 10;
    ++w[10].passed_over;
  }
  CHECK(steps == 9);
}

TEST_CASE("a segment without memory waits while others run, and is not hidden for ever", "[models][batch_policy]") {
  std::vector<waiting_segment> w{decode(1), chunk(2, 100), decode(3)};
  CHECK(batch_policy{{}}.choose(w, 20) == picks{0, 2});
  CHECK(batch_policy{{}}.choose(std::span(w).subspan(1, 1), 20) == picks{0});
  w[1].passed_over = 8;
  CHECK(batch_policy{{}}.choose(w, 20) == picks{1});
}
