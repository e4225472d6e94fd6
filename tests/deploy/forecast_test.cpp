#include "deploy/forecast.hpp"
#include "tests/support/catch.hpp"

#include <random>

using namespace virga;
using namespace virga::deploy;

namespace {

const pace at_rest{2, 0.5, 3};
// With the 22 bytes of a TLS record each is a round number.
const request_size asked{"", 10};
const crossing bytes{9'978, 100, 2'478, 1'228, true};

} // namespace

TEST_CASE("without a link a forecast is what was measured at rest", "[deploy][forecast]") {
  for (auto how : {strategy::cloud, strategy::edge, strategy::split}) {
    auto f = forecast_of(how, at_rest, bytes, {}, asked);
    CHECK(f.ttft_ms == Approx(7));
    CHECK(f.tbt_ms == Approx(3));
  }
}

TEST_CASE("split pays a round trip and a row each way for each token", "[deploy][forecast]") {
  auto f = forecast_of(strategy::split, at_rest, bytes, {40, 0, 10, 5}, asked);
  CHECK(f.ttft_ms == Approx(7 + 40 + 8 + 2.16));   // 80 kbit at 10 Mbit/s; 1,350 bytes at 5
  CHECK(f.tbt_ms == Approx(3 + 40 + 2 + 2));
}

TEST_CASE("cloud pays the round trip once, and its tokens stream", "[deploy][forecast]") {
  auto streamed = bytes;
  streamed.waits = false;
  CHECK(forecast_of(strategy::cloud, at_rest, streamed, {40, 10, 10, 5}, asked).ttft_ms == Approx(7 + 50 + 8 + 2.16));
  CHECK(forecast_of(strategy::cloud, at_rest, streamed, {40, 0, 10, 5}, asked).tbt_ms == Approx(3));
  CHECK(forecast_of(strategy::cloud, at_rest, streamed, {40, 0, 10, 1}, asked).tbt_ms == Approx(10));  // the link is slower
}

TEST_CASE("a stream's last token waits for the latest before it", "[deploy][forecast]") {
  auto streamed = bytes;
  streamed.waits = false;
  const pace fast{2, 0.5, 1};
  for (double jitter : {1.0, 5.0, 30.0}) {
    std::mt19937_64 random{7};
    std::uniform_real_distribution<double> late{0, jitter};
    double sum = 0;
    constexpr int times = 20'000;
    for (int i = 0; i < times; ++i) {
      double there = 0, first = 0;
      for (int token = 0; token < 24; ++token) {
        there = std::max(there, token + late(random));
        first = token == 0 ? there : first;
      }
      sum += (there - first) / 23;
    }
    CHECK(forecast_of(strategy::cloud, fast, streamed, {40, jitter, 0, 0}, asked).tbt_ms == Approx(sum / times).epsilon(0.01));
  }
}

TEST_CASE("edge does not see the link", "[deploy][forecast]") {
  auto f = forecast_of(strategy::edge, at_rest, bytes, {1000, 0, 0.001, 0.001}, asked);
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
