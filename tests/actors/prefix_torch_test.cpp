#include "models/make_shard.hpp"
#include "tests/actors/prefix_walk.hpp"
#include "tests/models/random_folder.hpp"
#include "tests/support/catch.hpp"

using namespace virga;
using namespace virga::testing;

TEST_CASE("what the torch shard says has the same bits with a prefix cache", "[actors][prefix][torch]") {
  auto type = GENERATE(dtype::f32, dtype::bf16, dtype::int8, dtype::int4);
  CAPTURE(to_string(type));
  std::uint64_t saved = 0;
  for (std::uint64_t seed = 21; seed <= 26; ++seed) {
    models::test::random_folder made(seed);
    models::hf::model_folder folder(made.dir());
    models::shard_options o;
    o.compute = type;
    INFO(made.text() << " seed " << seed);
    shard_runner without(models::make_torch_shard(folder, o)),
        with(models::make_torch_shard(folder, o), planted_bug::none, 64),
        finely(models::make_torch_shard(folder, o), planted_bug::none, 5);
    const auto expected = prefix_walk(without, seed).walk(40);
    CHECK(first_difference(prefix_walk(with, seed).walk(40), expected) == "");
    CHECK(first_difference(prefix_walk(finely, seed).walk(40), expected) == "");
    saved += with.prefixes().counts.saved_tokens;
    CHECK(with.shard().kv_bytes() == with.prefixes().bytes());
  }
  CHECK(saved > 500);
}
