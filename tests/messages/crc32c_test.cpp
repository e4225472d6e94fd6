#include "messages/crc32c.hpp"
#include "tests/messages/samples.hpp"
#include "tests/support/catch.hpp"

#include <string_view>

using namespace virga;

static auto bytes_of(std::string_view text) { return std::as_bytes(std::span{text}); }

TEST_CASE("crc32c gives the check value of the Castagnoli polynomial", "[messages][crc32c]") {
  CHECK(crc32c(bytes_of("123456789")) == 0xE3069283);
  CHECK(crc32c_portable(bytes_of("123456789")) == 0xE3069283);
  CHECK(crc32c({}) == 0);
}

TEST_CASE("crc32c gives the examples of RFC 3720", "[messages][crc32c]") {
  CHECK(crc32c(byte_buffer(32, std::byte{0})) == 0x8A9136AA);
  CHECK(crc32c(byte_buffer(32, std::byte{0xff})) == 0x62A8AB43);
}

TEST_CASE("the instruction and the tables agree at every length and alignment", "[messages][crc32c]") {
  test::rng r{7};
  auto data = test::any_bytes(r, 10'000);
  auto compare = [&](std::size_t begin, std::size_t size) {
    auto part = std::span{data}.subspan(begin, size);
    REQUIRE(crc32c(part, 77) == crc32c_portable(part, 77));
  };
  for (std::size_t begin = 0; begin < 9; ++begin)
    for (std::size_t size = 0; size < 280; ++size)
      compare(begin, size);
  for (std::size_t size = 3000; size < 9900; size += 13)  // around the length of the runs that are taken at once
    compare(size % 9, size);
}

TEST_CASE("a checksum continues where another ended", "[messages][crc32c]") {
  test::rng r{8};
  auto data = test::any_bytes(r, 100);
  for (std::size_t cut = 0; cut <= data.size(); ++cut)
    REQUIRE(crc32c(std::span{data}.subspan(cut), crc32c(std::span{data}.first(cut))) == crc32c(data));
}

TEST_CASE("a checksum of both follows from those of two parts, and that of the second from the others", "[messages][crc32c]") {
  test::rng r{9};
  auto data = test::any_bytes(r, 70'000);
  for (std::size_t cut : {0u, 1u, 3u, 8u, 255u, 4096u, 65'536u, 69'999u, 70'000u}) {
    auto first = crc32c(std::span{data}.first(cut)), second = crc32c(std::span{data}.subspan(cut));
    CHECK(crc32c_joined(first, second, data.size() - cut) == crc32c(data));
    CHECK(crc32c_joined(first, crc32c(data), data.size() - cut) == second);
  }
}
