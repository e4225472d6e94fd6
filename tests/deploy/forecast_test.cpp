#include "deploy/forecast.hpp"
#include "tests/support/catch.hpp"

using namespace virga;
using namespace virga::deploy;

namespace {

const pace at_rest{2, 0.5, 3};
// With the 22 bytes of a TLS record each is a round number.
const crossing bytes{9'978, 100, 2'478, 1'228, true};

} // namespace

TEST_CASE("without a link a forecast is what was measured at rest", "[deploy][forecast]") {
  for (auto how : {strategy::cloud, strategy::edge, strategy::split}) {
    auto f = forecast_of(how, at_rest, bytes, {}, 10);
    CHECK(f.ttft_ms == Approx(7));
    CHECK(f.tbt_ms == Approx(3));
  }
}

TEST_CASE("split pays a round trip and a row each way for each token", "[deploy][forecast]") {
  auto f = forecast_of(strategy::split, at_rest, bytes, {40, 0, 10, 5}, 10);
  CHECK(f.ttft_ms == Approx(7 + 40 + 8 + 2.16));   // 80 kbit at 10 Mbit/s; 1,350 bytes at 5
  CHECK(f.tbt_ms == Approx(3 + 40 + 2 + 2));
}

TEST_CASE("cloud pays the round trip once, and its tokens stream", "[deploy][forecast]") {
  auto streamed = bytes;
  streamed.waits = false;
  CHECK(forecast_of(strategy::cloud, at_rest, streamed, {40, 10, 10, 5}, 10).ttft_ms == Approx(7 + 50 + 8 + 2.16));
  CHECK(forecast_of(strategy::cloud, at_rest, streamed, {40, 10, 10, 5}, 10).tbt_ms == Approx(3));
  CHECK(forecast_of(strategy::cloud, at_rest, streamed, {40, 10, 10, 1}, 10).tbt_ms == Approx(10));  // the link is slower
}

TEST_CASE("edge does not see the link", "[deploy][forecast]") {
  auto f = forecast_of(strategy::edge, at_rest, bytes, {1000, 0, 0.001, 0.001}, 10);
  CHECK(f.ttft_ms == Approx(7));
  CHECK(f.tbt_ms == Approx(3));
}

TEST_CASE("what crosses is counted in whole frames", "[deploy][forecast]") {
  request_size size{"a prompt", 100, 64, dtype::f32, 512};
  auto split = crossing_of(strategy::split, size);
  CHECK(split.waits);
  CHECK(split.token_up > 64 * 4);
  CHECK(split.token_up < 64 * 4 + 400);
  CHECK(split.prompt_up > 100 * 64 * 4);
  size.chunk_rows = 10;
  CHECK(crossing_of(strategy::split, size).prompt_up > split.prompt_up);  // more frames for the same rows
  size.wire = dtype::f64;
  CHECK(crossing_of(strategy::split, size).token_up > 64 * 8);
  auto cloud = crossing_of(strategy::cloud, size);
  CHECK_FALSE(cloud.waits);
  CHECK(cloud.token_up == 0);
  CHECK(cloud.prompt_up > 8);
  CHECK(crossing_of(strategy::edge, size).prompt_up == 0);
}

TEST_CASE("a request that cannot cross says why", "[deploy][forecast]") {
  request_size size{std::string(1 << 20, 'x'), 100, 64};
  CHECK_THROWS_WITH(crossing_of(strategy::cloud, size), Catch::Contains("cannot cross a link"));
}
