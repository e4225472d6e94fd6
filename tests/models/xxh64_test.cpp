// XXH64 against the values that its other programs give.
#include "models/hf/xxh64.hpp"
#include "tests/support/catch.hpp"

#include <vector>

using namespace virga::models::hf;

namespace {

std::string hash_of(const std::string& text) {
  xxh64 h;
  h.add(text);
  return h.hex();
}

} // namespace

TEST_CASE("XXH64 is that of its specification", "[models][xxh64]") {
  CHECK(hash_of("") == "ef46db3751d8e999");
  CHECK(hash_of("a") == "d24ec4f1a98c6e5b");
  CHECK(hash_of("abc") == "44bc2cf5ad770999");
  CHECK(hash_of("Nobody inspects the spammish repetition") == "fbcea83c8a378bf1");
}

TEST_CASE("a hash does not depend on the pieces", "[models][xxh64]") {
  std::string text;
  for (int i = 0; i < 300; ++i)
    text += static_cast<char>(i * 7);
  for (std::size_t length = 0; length <= text.size(); ++length)
    for (std::size_t piece : {1u, 7u, 31u, 32u, 33u, 64u}) {
      xxh64 h;
      for (std::size_t at = 0; at < length; at += piece)
        h.add(text.substr(at, std::min(piece, length - at)));
      REQUIRE(h.hex() == hash_of(text.substr(0, length)));
    }
}

TEST_CASE("every flipped bit is seen", "[models][xxh64]") {
  std::string text(100, 'x');
  auto before = hash_of(text);
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
    CHECK(hash_of(text) != before);
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ 1 << bit % 8);
  }
}
