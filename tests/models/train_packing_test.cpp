// Packed batches: examples side by side, none sees another, targets and weights in their places.
#include "models/train/packing.hpp"
#include "tests/support/catch.hpp"

#include <set>

using namespace virga;
using namespace virga::models;
using namespace virga::models::train;

TEST_CASE("two examples share a row with their own positions, targets and weights", "[models][train]") {
  packer pack(1, 8, 0.1f);
  REQUIRE(pack.add({{1, 20, 21, 2}, 2}));
  REQUIRE(pack.add({{1, 30, 2}, 1}));
  CHECK_FALSE(pack.add({{1, 40}, 1}));
  const auto b = pack.take();
  CHECK(b.tokens == 7);
  CHECK(b.ids == std::vector<std::int64_t>{1, 20, 21, 2, 1, 30, 2, 0});
  CHECK(b.targets == std::vector<std::int64_t>{20, 21, 2, 0, 30, 2, 0, 0});
  CHECK(b.weights == std::vector<float>{0.1f, 1, 1, 0, 1, 1, 0, 0});
  CHECK(b.is_answer == std::vector<std::uint8_t>{0, 1, 1, 0, 1, 1, 0, 0});
  CHECK(b.segments == std::vector<std::uint32_t>{1, 1, 1, 1, 2, 2, 2, 0});
  CHECK(b.positions == std::vector<std::uint32_t>{0, 1, 2, 3, 0, 1, 2, 0});
}

TEST_CASE("an example longer than a row is refused with both lengths", "[models][train]") {
  packer pack(2, 4, 0);
  CHECK_THROWS_WITH(pack.add({{1, 2, 3, 4, 5}, 1}), Catch::Contains("5 tokens") && Catch::Contains("row of 4"));
}

TEST_CASE("the batch of a step depends on seed and step alone", "[models][train]") {
  const world::world w;
  const world::vocabulary words;
  packer pack(24, 128, 0.1f);
  const auto one = training_batch(words, w, 1, 7, pack);
  training_batch(words, w, 1, 8, pack);
  const auto again = training_batch(words, w, 1, 7, pack);
  CHECK(one.ids == again.ids);
  CHECK(one.ids != training_batch(words, w, 2, 7, pack).ids);
}

TEST_CASE("rows are filled to nine tenths and more", "[models][train]") {
  const world::world w;
  const world::vocabulary words;
  packer pack(24, 128, 0.1f);
  std::uint64_t tokens = 0;
  for (std::uint64_t step = 0; step < 50; ++step) {
    tokens += training_batch(words, w, 1, step, pack).tokens;
  }
  CHECK(static_cast<double>(tokens) / (50 * 24 * 128) > 0.9);
}
