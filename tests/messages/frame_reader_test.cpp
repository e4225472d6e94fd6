#include "messages/type_ids.hpp"
#include "tests/messages/samples.hpp"
#include "tests/support/catch.hpp"

#include <cstring>

using namespace virga;
using namespace virga::test;

static byte_buffer with_length(std::uint32_t length) {
  byte_buffer unit(wire_prefix_bytes);
  std::memcpy(unit.data(), &length, sizeof length);
  return unit;
}

TEST_CASE("a message cut anywhere is waited for", "[messages][frame_reader]") {
  rng r{21};
  for (auto& f : one_of_each(r)) {
    auto wire = wire_of(f);
    for (std::size_t cut = 0; cut < wire.size(); ++cut) {
      auto got = decode_all(std::span{wire}.first(cut));
      REQUIRE_FALSE(got.error);
      REQUIRE(got.messages.empty());
    }
  }
}

TEST_CASE("a large message cut anywhere is waited for", "[messages][frame_reader]") {
  rng r{22};
  for (auto& f : largest(r)) {
    auto wire = wire_of(f);
    for (int i = 0; i < 8; ++i) {
      auto got = decode_all(std::span{wire}.first(pick(r, wire.size())));
      REQUIRE_FALSE(got.error);
      REQUIRE(got.messages.empty());
    }
  }
}

TEST_CASE("a stream may come in pieces of any size", "[messages][frame_reader]") {
  rng r{23};
  auto frames = one_of_each(r);
  byte_buffer wire;
  for (auto& f : frames) {
    auto part = wire_of(f);
    wire.insert(wire.end(), part.begin(), part.end());
  }
  for (std::size_t step : {1, 3, 7, 8, 9, 64, 1000}) {
    frame_decoder decoder;
    std::size_t seen = 0;
    for (std::size_t at = 0; at < wire.size(); at += step) {
      put(decoder, std::span{wire}.subspan(at, std::min(step, wire.size() - at)));
      for (auto m = decoder.next(clock_start); m && *m; m = decoder.next(clock_start))
        REQUIRE(same((*m)->value, frames.at(seen++)));
    }
    REQUIRE(seen == frames.size());
  }
}

TEST_CASE("every flipped bit of every kind of message is noticed", "[messages][frame_reader]") {
  rng r{24};
  for (auto& f : one_of_each(r)) {
    auto wire = wire_of(f);
    for (std::size_t bit = 0; bit < 8 * wire.size(); ++bit) {
      auto mask = std::byte{1} << (bit % 8);
      wire[bit / 8] ^= mask;
      auto got = decode_all(wire);
      wire[bit / 8] ^= mask;
      REQUIRE(got.messages.empty());
      if (bit >= 32) // a longer length is waited for, everything else is an error at once
        REQUIRE(got.error == ec::bad_frame);
    }
  }
}

TEST_CASE("a wrong length ends the connection before its bytes come", "[messages][frame_reader]") {
  auto length = GENERATE(as<std::uint32_t>{}, 0, 7, 12, limits::frame_bytes + 8, 0xfffffff8, 0xffffffff);
  frame_reader reader;
  put(reader, with_length(length));
  auto next = reader.next();
  REQUIRE_FALSE(next);
  CHECK(next.error() == ec::bad_frame);
}

TEST_CASE("the largest length is allowed", "[messages][frame_reader]") {
  frame_reader reader;
  put(reader, with_length(limits::frame_bytes));
  auto next = reader.next();
  REQUIRE(next);
  CHECK_FALSE(*next);
  auto unit = unit_of(byte_buffer(limits::frame_bytes));
  frame_reader other;
  put(other, unit);
  auto body = other.next();
  REQUIRE(body);
  REQUIRE(*body);
  CHECK((*body)->size() == limits::frame_bytes);
}

TEST_CASE("a broken stream stays broken", "[messages][frame_reader]") {
  rng r{25};
  auto good = wire_of(any_frame(r, ping{1}));
  auto bad = good;
  bad.back() ^= std::byte{1};
  frame_reader reader;
  put(reader, bad);
  REQUIRE_FALSE(reader.next());
  put(reader, good);
  CHECK(reader.next().error() == ec::bad_frame);
  frame_decoder decoder;
  put(decoder, bad);
  REQUIRE_FALSE(decoder.next(clock_start));
  put(decoder, good);
  auto next = decoder.next(clock_start);
  REQUIRE_FALSE(next);
  CHECK(next.error() == ec::bad_frame);
  CHECK(decoder.counters().broken == 1);
}

TEST_CASE("a reader holds one unit and some room at most", "[messages][frame_reader]") {
  frame_reader reader;
  CHECK(put(reader, byte_buffer(4 * limits::frame_bytes)) < limits::frame_bytes + 2 * frame_reader::room_bytes);
  CHECK(reader.room().empty());
  CHECK_FALSE(reader.next());
}

TEST_CASE("bodies are aligned to words wherever a unit begins", "[messages][frame_reader]") {
  rng r{26};
  frame_reader reader;
  for (int i = 0; i < 50; ++i) {
    auto wire = wire_of(any_frame(r, tokens{0, {}, any_text(r, pick(r, 50))}));
    auto cut = pick(r, wire.size());
    put(reader, std::span{wire}.first(cut));
    REQUIRE_FALSE(*reader.next());
    put(reader, std::span{wire}.subspan(cut));
    auto body = reader.next();
    REQUIRE(*body);
    REQUIRE(reinterpret_cast<std::uintptr_t>((*body)->data()) % 8 == 0);
  }
}
